"""Two ends of a TCP connection as KtlsSockets, and short words for what they are asked to do."""

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
Pair = Callable[[], tuple[socket.socket, socket.socket]]
LEFT_OPEN: list[KtlsSocket] = []


def generation(number: int, version: int = TLS13, cipher: Cipher = AES_GCM_128) -> TrafficKey:
    """The key of a generation, its first record number 0."""
    return traffic_key(version, cipher, seed=number)


def attach(sock: socket.socket, namespace: Namespace | None = None) -> KtlsSocket:
    """Take over a socket and attach the ULP."""
    end = closed_at_the_end(KtlsSocket(sock, namespace=namespace))
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    return end


def closed_at_the_end(end: KtlsSocket) -> KtlsSocket:
    """The end itself, which is open until the test is over: dropped open it would warn."""
    LEFT_OPEN.append(end)
    return end


def install(end: KtlsSocket, direction: int, key: TrafficKey) -> None:
    """Set a key, the first or the next."""
    end.setsockopt(SOL_TLS, direction, key.struct())


def send_typed(end: KtlsSocket, data: bytes, record_type: int) -> int:
    """Send ``data`` as records of a type."""
    return end.sendmsg([data], [(SOL_TLS, 1, bytes([record_type]))])


def receive(end: KtlsSocket, size: int = 100, flags: int = DONTWAIT) -> tuple[bytes, int | None]:
    """The next data and the type of its records, None where none came."""
    data, control, _, _ = end.recvmsg(size, 64, flags)
    return data, control[0][2][0] if control else None


@contextmanager
def fails(code: int) -> Iterator[None]:
    """The call fails with this errno."""
    with pytest.raises(OSError, match=r".") as caught:
        yield
    assert errno.errorcode.get(caught.value.errno or 0) == errno.errorcode[code]


@dataclass
class Ends:
    """A sender and a receiver with the same key, and the counters since they have it."""

    sender: KtlsSocket
    receiver: KtlsSocket
    namespace: Namespace
    before: dict[str, int] = field(default_factory=dict)

    def counted(self, name: str) -> int:
        """How far a counter moved since the ends have their keys."""
        return self.namespace.tls_stat()[name] - self.before.get(name, 0)

    def fill(self, piece: bytes) -> int:
        """Send until TCP has no room; gives how many bytes were taken."""
        taken = 0
        try:
            while True:
                taken += self.sender.send(piece, DONTWAIT)
        except BlockingIOError:
            return taken

    def send_key_update(self) -> None:
        """Send a KeyUpdate, and nothing else: the keys stay."""
        assert send_typed(self.sender, KEY_UPDATE, HANDSHAKE) == len(KEY_UPDATE)

    def pause(self) -> None:
        """Let the receiver read a KeyUpdate."""
        self.send_key_update()
        assert receive(self.receiver) == (KEY_UPDATE, HANDSHAKE)

    def rekey_sender(self, number: int) -> None:
        """The sender's next key."""
        install(self.sender, TLS_TX, generation(number))

    def rekey_receiver(self, number: int) -> None:
        """The receiver's next key."""
        install(self.receiver, TLS_RX, generation(number))


def attached(pair: Pair) -> Ends:
    """Ends with the ULP, that count apart from all others, and no key."""
    namespace = Namespace()
    near, far = (attach(sock, namespace) for sock in pair())
    return Ends(near, far, namespace)


def ends_over(pair: Pair, version: int = TLS13) -> Ends:
    """Ends that both have the key of generation 0."""
    ends = attached(pair)
    install(ends.sender, TLS_TX, generation(0, version))
    install(ends.receiver, TLS_RX, generation(0, version))
    ends.before = ends.namespace.tls_stat()
    return ends


def raw_over(pair: Pair, version: int = TLS13) -> tuple[socket.socket, KtlsSocket]:
    """A plain socket for crafted records, and a receiver with the key of generation 0."""
    near, far = pair()
    receiver = attach(far)
    install(receiver, TLS_RX, generation(0, version))
    return near, receiver
