"""The end of a process whose closed sockets still have data to send."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ktls_fast import Connection, TrafficSecret
from tests.peers.support import DEADLINE, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator


MIB = 1 << 20


PROGRAM = textwrap.dedent(
    """
    import contextlib, resource, socket, sys
    from pathlib import Path
    from ktls_fast import Connection, TrafficSecret
    tx, rx = (TrafficSecret(0x1301, bytes([i]) * 32) for i in (1, 2))
    def stalled():
        sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        conn = Connection.from_secrets(sock, server_side=False, tx=tx, rx=rx)
        conn.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                conn.send(bytes(1 << 20))
        conn.close()
        return conn.bytes_sent
    """
)


def command(body: str, listening: socket.socket) -> list[str]:
    """Return the command that runs ``body`` after the definition of ``stalled``."""
    return [sys.executable, "-c", PROGRAM + textwrap.dedent(body), str(port_of(listening))]


@contextmanager
def program(body: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a process with ``stalled()``, whose peer neither accepts connections nor reads."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=400) as listening,
        subprocess.Popen(
            command(body, listening),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_number_of_sockets_that_are_closing_is_bounded() -> None:
    """The bound is a quarter of the descriptors that the process may have."""
    body = """
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(300):
        stalled()
    print(len(list(Path("/proc/self/fd").iterdir())) - before)
    import os
    os._exit(0)
    """
    with program(body) as process:
        out, err = process.communicate(timeout=3 * DEADLINE)
        assert err == ""
        # The thread has three descriptors of its own, and up to sixteen sockets to close.
        assert 45 <= int(out) <= 70


def test_the_wait_at_exit_for_a_stalled_peer_is_bounded() -> None:
    with program("stalled()") as process:
        assert process.communicate(timeout=3 * DEADLINE) == ("", "")
        assert process.returncode == 0


def test_a_signal_ends_the_wait_at_exit() -> None:
    """Callbacks registered after the import run before the wait."""
    body = """
    import atexit, signal
    def begin(*_):
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    def interrupt(*_):
        raise KeyboardInterrupt
    atexit.register(begin)
    stalled()
    """
    with program(body) as process:
        _, err = process.communicate(timeout=DEADLINE)
        assert "KeyboardInterrupt" in err


WORKER = """
    import multiprocessing
    def work():
        print(stalled(), flush=True)
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join()
    """


def test_a_multiprocessing_worker_ends_after_the_last_byte() -> None:
    """It ends by ``os._exit``, without calling ``atexit``."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        subprocess.Popen(command(WORKER, listening), stdout=subprocess.PIPE) as process,
    ):
        far, _ = listening.accept()
        assert process.stdout
        taken = int(process.stdout.readline())
        tx, rx = (TrafficSecret(0x1301, bytes([i]) * 32) for i in (2, 1))
        with Connection.from_secrets(far, server_side=True, tx=tx, rx=rx) as conn:
            data = b"".join(iter(lambda: conn.read(MIB), b""))
        assert len(data) == taken
        assert process.wait(DEADLINE) == 0
