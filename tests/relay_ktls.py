"""Pairs of which one side is a KtlsSocket, and the far ends of both sides."""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ktls_fast import Connection, KtlsSocket, Namespace, Sealer, TrafficSecret
from tests.ktls_ends import TLS_RX, TLS_TX, attach, generation, install
from tests.peers.support import DEADLINE, socket_pair
from tests.reference import AES_GCM_128, CHACHA20_POLY1305, TLS13

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ktls_fast import Relay, RelayHandle
    from tests.reference import Cipher

End: TypeAlias = KtlsSocket | Connection | socket.socket

KINDS = ("plain", "tls", "ktls")
"""What the other side can be."""

ENDLESS = "endless"
"""KtlsSockets with a cipher that has no limit of records that any machine gets to."""

THERE, BACK = 10, 20
"""The generations of the keys from a near end to its far end, and of those back, begin here."""


class Pair(NamedTuple):
    """A pair under way; ``far_a`` and ``far_b`` are the other ends of its sides."""

    a: KtlsSocket
    far_a: KtlsSocket
    b: End
    far_b: End
    handle: RelayHandle
    ended: Future[RelayHandle]

    def end(self) -> RelayHandle:
        """Wait for the end; then close our sides."""
        handle = self.ended.result(DEADLINE)
        self.a.close()
        self.b.close()
        return handle


def keyed(
    near: socket.socket,
    far: socket.socket,
    version: int = TLS13,
    namespace: Namespace | None = None,
    cipher: Cipher = AES_GCM_128,
) -> list[KtlsSocket]:
    """Both ends of a connection as KtlsSockets with keys both ways; the near one counts there."""
    ends = [attach(near, namespace), attach(far)]
    for end, (tx, rx) in zip(ends, ((THERE, BACK), (BACK, THERE)), strict=True):
        end.settimeout(DEADLINE)
        install(end, TLS_TX, generation(tx, version, cipher))
        install(end, TLS_RX, generation(rx, version, cipher))
    return ends


def link(kind: str) -> list[End]:
    """The near and the far end of a connection: of a kind of KINDS, "ktls12" or ENDLESS."""
    near, far = socket_pair()
    match kind:
        case "ktls":
            return [*keyed(near, far)]
        case "ktls12":
            return [*keyed(near, far, 0x0303)]
        case "endless":
            return [*keyed(near, far, cipher=CHACHA20_POLY1305)]
        case "tls":
            one, other = (TrafficSecret(0x1301, bytes([seed]) * 32) for seed in (1, 2))
            return [
                Connection.from_secrets(near, server_side=False, tx=one, rx=other),
                Connection.from_secrets(far, server_side=True, tx=other, rx=one),
            ]
        case _:
            return [near, far]


def ktls_link() -> tuple[KtlsSocket, KtlsSocket]:
    """Both ends of a connection between KtlsSockets."""
    near, far = keyed(*socket_pair())
    return near, far


@contextmanager
def pumped(
    relay: Relay, kind: str = "plain", first: str = "ktls", idle_timeout: float | None = None
) -> Iterator[Pair]:
    """A KtlsSocket and another side in a relay."""
    with ExitStack() as stack:
        a, far_a, b, far_b = (*link(first), *link(kind))
        for end in (a, far_a, b, far_b):
            stack.enter_context(end)
        assert isinstance(a, KtlsSocket)
        assert isinstance(far_a, KtlsSocket)
        handle, ended = added(relay, a, b, idle_timeout)
        yield Pair(a, far_a, b, far_b, handle, ended)
        # A peer that is gone spares close() its wait for an alert to be read.
        far_b.close()


def narrow(near: KtlsSocket, far: KtlsSocket, room: int = 4096) -> None:
    """Leave TCP little room from the near end to the far one, so that sealed bytes wait."""
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)


def added(
    relay: Relay, a: End, b: End, idle_timeout: float | None = None
) -> tuple[RelayHandle, Future[RelayHandle]]:
    """Add a pair: its handle, and what tells its end."""
    ended: Future[RelayHandle] = Future()
    handle = relay.add(a, b, idle_timeout=idle_timeout, on_close=ended.set_result)
    return handle, ended


def finish(end: End) -> None:
    """Say that no more will come."""
    if isinstance(end, Connection):
        end.close_notify()
    else:
        end.shutdown(socket.SHUT_WR)


def send_and_finish(end: End, data: bytes) -> None:
    """Send all and say so."""
    end.sendall(data)
    finish(end)


def receive_all(end: End) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def receive_exactly(end: End, size: int) -> bytes:
    """So many bytes, or fewer where the end comes before."""
    got = bytearray()
    while len(got) < size and (piece := end.recv(size - len(got))):
        got += piece
    return bytes(got)


def far_sealer(cipher: Cipher = AES_GCM_128) -> Sealer:
    """What seals as the far end of a KtlsSocket does from its first record on, and empty ones."""
    return Sealer(generation(BACK, cipher=cipher).struct())


def send_raw(end: KtlsSocket, data: bytes | memoryview) -> None:
    """Send bytes that ``end`` has not sealed."""
    with socket.socket(fileno=os.dup(end.fileno())) as raw:
        raw.settimeout(DEADLINE)
        raw.sendall(data)
