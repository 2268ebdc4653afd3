"""Two ends of a TCP connection as KtlsSockets, and shorthands for their calls."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from ktls_fast import KtlsSocket, Namespace, key_update_message
from tests.reference import AES_GCM_128, HANDSHAKE, TLS13, Cipher, TrafficKey, traffic_key

SOL_TLS, TLS_TX, TLS_RX, TCP_ULP = 282, 1, 2, 31
KEY_UPDATE = key_update_message()
DONTWAIT, PEEK, MORE = socket.MSG_DONTWAIT, socket.MSG_PEEK, socket.MSG_MORE
MakePair = Callable[[], tuple[socket.socket, socket.socket]]
LEFT_OPEN: list[KtlsSocket] = []


def generation(number: int, version: int = TLS13, cipher: Cipher = AES_GCM_128) -> TrafficKey:
    """Return the key of a generation; its first record has number 0."""
    return traffic_key(version, cipher, seed=number)


def attach(sock: socket.socket, namespace: Namespace | None = None) -> KtlsSocket:
    """Take over a socket and attach the ULP; the result is closed after the test."""
    end = closed_at_the_end(KtlsSocket(sock, namespace=namespace))
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    return end


def closed_at_the_end(end: KtlsSocket) -> KtlsSocket:
    """Register ``end`` to be closed after the test, as dropping it open would warn; return it."""
    LEFT_OPEN.append(end)
    return end


def install(end: KtlsSocket, direction: int, key: TrafficKey) -> None:
    """Install a key, the first or the next."""
    end.setsockopt(SOL_TLS, direction, key.struct())


def send_typed(end: KtlsSocket, data: bytes, record_type: int) -> int:
    """Send ``data`` as records of a type; return the number of bytes."""
    return end.sendmsg([data], [(SOL_TLS, 1, bytes([record_type]))])


def receive(end: KtlsSocket, size: int = 100, flags: int = DONTWAIT) -> tuple[bytes, int | None]:
    """Receive data; return it with the type of its records, or None without a type."""
    data, control, _, _ = end.recvmsg(size, 64, flags)
    return data, control[0][2][0] if control else None


@contextmanager
def fails(code: int) -> Iterator[None]:
    """Check that the block raises an OSError with the errno ``code``."""
    with pytest.raises(OSError, match=r".") as caught:
        yield
    assert errno.errorcode.get(caught.value.errno or 0) == errno.errorcode[code]


@dataclass
class KtlsEnds:
    """A sender and a receiver, and their counters."""

    sender: KtlsSocket
    receiver: KtlsSocket
    namespace: Namespace
    before: dict[str, int] = field(default_factory=dict)

    def counted(self, name: str) -> int:
        """Return how much a counter has increased since the keys were installed."""
        return self.namespace.tls_stat()[name] - self.before.get(name, 0)

    def fill(self, piece: bytes) -> int:
        """Send until TCP's buffers are full; return the number of bytes sent."""
        taken = 0
        try:
            while True:
                taken += self.sender.send(piece, DONTWAIT)
        except BlockingIOError:
            return taken

    def send_key_update(self) -> None:
        """Send a KeyUpdate without installing a key."""
        assert send_typed(self.sender, KEY_UPDATE, HANDSHAKE) == len(KEY_UPDATE)

    def pause(self) -> None:
        """Send a KeyUpdate and receive it, which pauses the receiver."""
        self.send_key_update()
        assert receive(self.receiver) == (KEY_UPDATE, HANDSHAKE)

    def rekey_sender(self, number: int) -> None:
        """Install the sender's key of a generation."""
        install(self.sender, TLS_TX, generation(number))

    def rekey_receiver(self, number: int) -> None:
        """Install the receiver's key of a generation."""
        install(self.receiver, TLS_RX, generation(number))


def attached(pair: MakePair) -> KtlsEnds:
    """Return ends with the ULP and their own counters, but without keys."""
    namespace = Namespace()
    near, far = (attach(sock, namespace) for sock in pair())
    return KtlsEnds(near, far, namespace)


def ends_over(pair: MakePair, version: int = TLS13) -> KtlsEnds:
    """Return ends that both have the key of generation 0."""
    ends = attached(pair)
    install(ends.sender, TLS_TX, generation(0, version))
    install(ends.receiver, TLS_RX, generation(0, version))
    ends.before = ends.namespace.tls_stat()
    return ends


def raw_over(pair: MakePair, version: int = TLS13) -> tuple[socket.socket, KtlsSocket]:
    """Return a TCP socket for crafted records, and a receiver with the key of generation 0."""
    near, far = pair()
    receiver = attach(far)
    install(receiver, TLS_RX, generation(0, version))
    return near, receiver
