"""Sockets over a queue, and plain ones that see their wire."""

import fcntl
import os
import select
import socket
import termios
import time

from ktls_fast import KtlsSocket, Namespace, OffloadQueue
from tests.conftest import connect_pair
from tests.ktls_ends import (
    DONTWAIT,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    closed_at_the_end,
    generation,
    install,
)
from tests.sleeping import threads_sleep

PATIENCE = 30.0
SETTLED = 0.05  # nobody made room for so long
RECORD = 16384
WIRES: list[socket.socket] = []


class Half:
    """A sender over a queue (or none) and a plain socket that sees its wire."""

    def __init__(self, queue: OffloadQueue | None, number: int = 0) -> None:
        near, self.wire = connect_pair()
        WIRES.append(self.wire)
        self.namespace = Namespace()
        self.sender = attach(near, queue, self.namespace)
        install(self.sender, TLS_TX, generation(number))

    def counted(self, name: str) -> int:
        """A counter of this socket."""
        return self.namespace.tls_stat().get(name, 0)

    def fill(self, piece: bytes = bytes(RECORD)) -> int:
        """Send until neither TCP nor the ring has room; gives how many bytes were taken."""
        taken = 0
        while self.sender.poll(select.POLLOUT, SETTLED) or not threads_sleep("ktls-queue"):
            taken += try_send(self.sender, piece)
        return taken

    def drain(self, count: int) -> bytes:
        """Read so many bytes off the wire."""
        pieces = []
        while count:
            pieces.append(self.wire.recv(min(count, 1 << 20)))
            assert pieces[-1]
            count -= len(pieces[-1])
        return b"".join(pieces)

    def ended(self) -> bytes:
        """Close the sender and read to the end."""
        self.sender.close()
        return self.rest()

    def rest(self) -> bytes:
        """Read to the end."""
        pieces = []
        while piece := self.wire.recv(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)


def attach(
    sock: socket.socket, queue: OffloadQueue | None, namespace: Namespace | None = None
) -> KtlsSocket:
    end = closed_at_the_end(KtlsSocket(sock, namespace=namespace, device=queue))
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    return end


def over(queue: OffloadQueue) -> tuple[KtlsSocket, KtlsSocket]:
    """Sender and receiver, both over a queue."""
    near, far = (attach(sock, queue) for sock in connect_pair())
    install(near, TLS_TX, generation(0))
    install(far, TLS_RX, generation(0))
    return near, far


def wait_until_idle(queue: OffloadQueue) -> None:
    """Until TCP has all that was submitted, within PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while (stats := queue.stats()).submitted != stats.completed:
        assert time.monotonic() < end, stats
        os.sched_yield()


def wait_until_acknowledged(end: KtlsSocket) -> None:
    """Until the peer's TCP has all bytes, within PATIENCE seconds."""
    until = time.monotonic() + PATIENCE
    while fcntl.ioctl(end.fileno(), termios.TIOCOUTQ, bytes(4)) != bytes(4):
        assert time.monotonic() < until
        os.sched_yield()


def close_wires() -> None:
    """So that no worker waits for a peer that reads nothing."""
    while WIRES:
        WIRES.pop().close()


def try_send(sender: KtlsSocket, data: bytes) -> int:
    try:
        return sender.send(data, DONTWAIT)
    except BlockingIOError:
        return 0
