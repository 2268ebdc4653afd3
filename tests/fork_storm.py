"""A process that forks while other threads seal; ``test_fork_storm.py`` starts it.

``python -m tests.fork_storm KIND announced|unannounced FORKS``: it prints how often what came of
it in parent and child. After a fork behind its back Python would wait in the child, wherever it
lets go of the GIL, for threads that do not exist: so the child makes one call, and tells of it and
ends by the C library.
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
    """What is closed behind its last use."""

    def close(self) -> None: ...


Subject = tuple[Callable[[], object], list[Closes]]
"""A call, and what it was about."""


def tcp() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


def sealer() -> Subject:
    """More than is sealed with the GIL held."""
    subject = Sealer(INFO)
    return lambda: subject.seal(DATA), []


def opener() -> Subject:
    """It has no nonces to lose: both may go on."""
    subject, record = Opener(INFO), Sealer(INFO).seal(b"data")
    return lambda: subject.open(record), []


def connection_send() -> Subject:
    """A connection that sends."""
    near, far = tcp()
    subject = connection(near)
    return lambda: subject.send(DATA), [subject, far]


def socket_send() -> Subject:
    """A kTLS socket that sends."""
    near, far = tcp()
    subject = ktls(near)
    return lambda: subject.send(DATA), [subject, far]


KINDS = {call.__name__: call for call in (sealer, opener, connection_send, socket_send)}


def seal_for_ever(sealed: threading.Event, stop: threading.Event) -> None:
    """Seal and send, with what no other thread has."""
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
    """``went on``, or the errno."""
    try:
        use()
    except OSError as error:
        return str(error.errno)
    return "went on"


def child_first(make_child: Callable[[], int], use: Callable[[], object]) -> tuple[str, str]:
    """What the child's call came to, and the parent's, which are made at the same time."""
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
    """Fork as often as asked."""
    kind, way, forks = sys.argv[1:]
    make_child = {"announced": fork, "unannounced": library_fork}[way]
    if way == "unannounced":
        # Nobody asks for the GIL: the child would give it to a thread that it does not have.
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
