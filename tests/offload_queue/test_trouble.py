"""Forks while workers are at work, and workers that cannot be had."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from ktls_fast import OffloadQueue
from tests.forked import fork
from tests.offload_queue.ends import QueueSender

FORKS = 150
PATIENCE = 10.0


def ends_by_itself(pid: int) -> bool:
    """Wait for a child; return True if it ends in time, otherwise kill it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def in_background(act: Callable[[], object]) -> Callable[[], None]:
    """Repeat ``act`` in a thread; the result ends it."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            act()

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    return end


@pytest.mark.parametrize("data", [b"x" * 200, b"x" * 20_000])
def test_a_fork_while_workers_seal_does_not_hang_the_child(data: bytes) -> None:
    with OffloadQueue(2) as queue:
        halves = [QueueSender(queue) for _ in range(2)]
        readers = [in_background(partial(half.wire.recv, 1 << 20)) for half in halves]
        writers = [in_background(partial(_send_fresh, half, data)) for half in halves]
        try:
            for _ in range(FORKS):
                pid = fork()
                if pid == 0:
                    os._exit(0)
                assert ends_by_itself(pid)
        finally:
            for end in writers:
                end()
            for half in halves:
                half.wire.shutdown(socket.SHUT_RD)
            for end in readers:
                end()


def _send_fresh(half: QueueSender, data: bytes) -> None:
    """Send bytes to which no other references exist."""
    half.sender.send(bytes(bytearray(data)))


def test_sent_bytes_objects_are_released_at_the_next_call() -> None:
    with OffloadQueue() as queue:
        half = QueueSender(queue)
        data = bytes(bytearray(1000))
        before = sys.getrefcount(data)
        for _ in range(3):
            half.sender.send(data)
            half.drain(1022)
            while queue.stats().completed < queue.stats().submitted:
                pass
            queue.stats()
            assert sys.getrefcount(data) == before
        half.sender.close()


NO_THREADS = """
import resource, threading
import tests.offload_queue.ends as t
from tests.ktls_ends import MORE, TLS_TX, generation, install
queue = t.OffloadQueue(policy="v17")
def no_more_threads():
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (1 << 20),) * 2)
    # The C library keeps stacks of ended threads: take those, too.
    wait = threading.Event().wait
    try:
        for _ in range(100):
            threading.Thread(target=wait, daemon=True).start()
    except RuntimeError:
        return
    raise SystemExit("threads start")
near, wire = t.connect_pair()
sender = t.attach(near, queue)
"""


@pytest.mark.parametrize(
    "calls",
    [
        "no_more_threads(); install(sender, TLS_TX, generation(0))",
        "install(sender, TLS_TX, generation(0)); no_more_threads()",
        "install(sender, TLS_TX, generation(0)); queue.close(); no_more_threads()",
    ],
)
def test_everything_arrives_without_a_thread_for_the_worker(calls: str) -> None:
    _run(
        NO_THREADS
        + calls
        + """
for number in range(5):
    assert sender.send(b"x" * 100) == 100
    record = wire.recv(122, t.socket.MSG_WAITALL)
    assert generation(0).open(record, nth=number)[1] == b"x" * 100
sender.close()
assert wire.recv(1) == b""
queue.close()
"""
    )


def test_an_open_record_of_a_closed_queue_is_sent_without_a_worker() -> None:
    _run(
        NO_THREADS
        + """
install(sender, TLS_TX, generation(0))
sender.send(b"x" * 100, MORE)
queue.close()
no_more_threads()
install(sender, TLS_TX, generation(1))
assert sender.send(b"y" * 100) == 100
assert generation(0).open(wire.recv(122, t.socket.MSG_WAITALL))[1] == b"x" * 100
assert generation(1).open(wire.recv(122, t.socket.MSG_WAITALL))[1] == b"y" * 100
sender.close()
assert wire.recv(1) == b""
"""
    )


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
