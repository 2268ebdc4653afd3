"""Sockets on a queue, and TCP sockets that receive their records."""

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
SETTLED = 0.05  # seconds without space after which the buffers count as full
RECORD = 16384
WIRES: list[socket.socket] = []


class QueueSender:
    """A sender on a queue (or none), and a TCP socket that receives its records."""

    def __init__(self, queue: OffloadQueue | None, number: int = 0) -> None:
        near, self.wire = connect_pair()
        WIRES.append(self.wire)
        self.namespace = Namespace()
        self.sender = attach(near, queue, self.namespace)
        install(self.sender, TLS_TX, generation(number))

    def counted(self, name: str) -> int:
        """Return a counter of the sender."""
        return self.namespace.tls_stat().get(name, 0)

    def fill(self, piece: bytes = bytes(RECORD)) -> int:
        """Send until TCP's buffers and the ring are full; return the number of bytes sent."""
        taken = 0
        while self.sender.poll(select.POLLOUT, SETTLED) or not threads_sleep("ktls-queue"):
            taken += try_send(self.sender, piece)
        return taken

    def drain(self, count: int) -> bytes:
        """Read ``count`` bytes of the records."""
        pieces = []
        while count:
            pieces.append(self.wire.recv(min(count, 1 << 20)))
            assert pieces[-1]
            count -= len(pieces[-1])
        return b"".join(pieces)

    def ended(self) -> bytes:
        """Close the sender, and read the records up to the end."""
        self.sender.close()
        return self.rest()

    def rest(self) -> bytes:
        """Read the records up to the end."""
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
    """Return a sender and a receiver on the queue."""
    near, far = (attach(sock, queue) for sock in connect_pair())
    install(near, TLS_TX, generation(0))
    install(far, TLS_RX, generation(0))
    return near, far


def wait_until_idle(queue: OffloadQueue) -> None:
    """Wait until TCP has everything that was submitted, up to PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while (stats := queue.stats()).submitted != stats.completed:
        assert time.monotonic() < end, stats
        os.sched_yield()


def wait_until_acknowledged(end: KtlsSocket) -> None:
    """Wait until the peer's TCP has received all data, up to PATIENCE seconds."""
    until = time.monotonic() + PATIENCE
    while fcntl.ioctl(end.fileno(), termios.TIOCOUTQ, bytes(4)) != bytes(4):
        assert time.monotonic() < until
        os.sched_yield()


def close_wires() -> None:
    """Close the TCP sockets, so that no worker waits for a peer that reads nothing."""
    while WIRES:
        WIRES.pop().close()


def try_send(sender: KtlsSocket, data: bytes) -> int:
    try:
        return sender.send(data, DONTWAIT)
    except BlockingIOError:
        return 0
