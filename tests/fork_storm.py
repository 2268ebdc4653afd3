"""A program that forks while other threads seal, for ``test_fork_storm.py``.

``python -m tests.fork_storm KIND announced|unannounced FORKS`` prints how often each combination of
results occurred in child and parent. After a fork that Python does not know of, Python would wait
in the child for threads that do not exist, wherever it releases the GIL. Therefore the child makes
only one call, and writes its result and exits by the C library.
"""

import ctypes
import os
import select
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ktls_fast import Opener, Sealer
from tests.forked import fork, library_fork
from tests.ktls_ends import generation
from tests.leftovers import connection, ktls

INFO = generation(0).struct()
DATA = bytes(5000)
LIBRARY = ctypes.PyDLL(None)
THREADS = 4
PATIENCE = 20.0


class Closes(Protocol):
    """An object that is closed after its last use."""

    def close(self) -> None: ...


Subject = tuple[Callable[[], object], list[Closes]]
"""A call, and the objects to close after it."""


def tcp() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


def sealer() -> Subject:
    """Return a seal of more data than is sealed with the GIL held."""
    subject = Sealer(INFO)
    return lambda: subject.seal(DATA), []


def opener() -> Subject:
    """Return an open, which both processes may continue, as it uses no nonces."""
    subject, record = Opener(INFO), Sealer(INFO).seal(b"data")
    return lambda: subject.open(record), []


def connection_send() -> Subject:
    """Return a send of a Connection."""
    near, far = tcp()
    subject = connection(near)
    return lambda: subject.send(DATA), [subject, far]


def socket_send() -> Subject:
    """Return a send of a KtlsSocket."""
    near, far = tcp()
    subject = ktls(near)
    return lambda: subject.send(DATA), [subject, far]


KINDS = {call.__name__: call for call in (sealer, opener, connection_send, socket_send)}


def seal_for_ever(sealed: threading.Event, stop: threading.Event) -> None:
    """Seal and send until ``stop``, with objects of this thread only."""
    uses = [make() for make in KINDS.values() if make is not opener]
    room = bytearray(1 << 20)
    while not stop.is_set():
        for use, parts in uses:
            use()
            for part in parts:
                if isinstance(part, socket.socket):
                    part.recv_into(room)
        sealed.set()
    for _, parts in uses:
        for part in parts:
            part.close()


def outcome(use: Callable[[], object]) -> str:
    """Make the call; return ``went on`` or the errno."""
    try:
        use()
    except OSError as error:
        return str(error.errno)
    return "went on"


def child_first(make_child: Callable[[], int], use: Callable[[], object]) -> tuple[str, str]:
    """Fork, make the call in both processes at the same time, and return both results."""
    answer, say = os.pipe()
    pid = make_child()
    if pid == 0:
        text = outcome(use).encode()
        LIBRARY.write(say, text, len(text))
        LIBRARY._exit(0)
    os.close(say)
    try:
        mine = outcome(use)
        ready, _, _ = select.select([answer], [], [], PATIENCE)
        its = os.read(answer, 100).decode() if ready else "hung"
    finally:
        os.close(answer)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return its, mine


def main() -> None:
    """Fork as often as the arguments specify, and print the results."""
    kind, way, forks = sys.argv[1:]
    make_child = {"announced": fork, "unannounced": library_fork}[way]
    if way == "unannounced":
        # Keep threads from requesting the GIL: the child would pass it to a missing thread.
        sys.setswitchinterval(1000)
    stop, seals = threading.Event(), [threading.Event() for _ in range(THREADS)]
    threads = [threading.Thread(target=seal_for_ever, args=(event, stop)) for event in seals]
    for thread in threads:
        thread.start()
    for event in seals:
        event.wait(PATIENCE)
    results: Counter[tuple[str, str]] = Counter()
    try:
        for _ in range(int(forks)):
            use, parts = KINDS[kind]()
            results[child_first(make_child, use)] += 1
            for part in parts:
                part.close()
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    for (its, mine), count in results.items():
        print(f"{its}|{mine}|{count}")


if __name__ == "__main__":
    main()
