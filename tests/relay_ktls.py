"""Relayed pairs with a KtlsSocket as one side, and the far ends of both sides."""

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
"""The kinds of the other side."""

ENDLESS = "endless"
"""The kind of KtlsSockets with a cipher whose limit of records cannot be reached."""

THERE, BACK = 10, 20
"""The first generation of the keys from a near end to its far end, and of those back."""


class RelayedKtlsPair(NamedTuple):
    """A pair that is being relayed; ``far_a`` and ``far_b`` are the other ends of its sides."""

    a: KtlsSocket
    far_a: KtlsSocket
    b: End
    far_b: End
    handle: RelayHandle
    ended: Future[RelayHandle]

    def end(self) -> RelayHandle:
        """Wait for the end of the relay, close both sides, and return the handle."""
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
    """Return both ends of a connection as KtlsSockets with keys in both directions.

    The near end counts in ``namespace``.
    """
    ends = [attach(near, namespace), attach(far)]
    for end, (tx, rx) in zip(ends, ((THERE, BACK), (BACK, THERE)), strict=True):
        end.settimeout(DEADLINE)
        install(end, TLS_TX, generation(tx, version, cipher))
        install(end, TLS_RX, generation(rx, version, cipher))
    return ends


def link(kind: str) -> list[End]:
    """Return the near and the far end of a connection of a kind: of KINDS, "ktls12" or ENDLESS."""
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
    """Return both ends of a connection between KtlsSockets."""
    near, far = keyed(*socket_pair())
    return near, far


@contextmanager
def pumped(
    relay: Relay, kind: str = "plain", first: str = "ktls", idle_timeout: float | None = None
) -> Iterator[RelayedKtlsPair]:
    """Relay a KtlsSocket and another side during the block; yield the pair."""
    with ExitStack() as stack:
        a, far_a, b, far_b = (*link(first), *link(kind))
        for end in (a, far_a, b, far_b):
            stack.enter_context(end)
        assert isinstance(a, KtlsSocket)
        assert isinstance(far_a, KtlsSocket)
        handle, ended = added(relay, a, b, idle_timeout)
        yield RelayedKtlsPair(a, far_a, b, far_b, handle, ended)
        # Without a peer, close() does not wait for its alert to be read.
        far_b.close()


def narrow(near: KtlsSocket, far: KtlsSocket, room: int = 4096) -> None:
    """Make TCP's buffers from the near end to the far one small, so that sealed bytes wait."""
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)


def added(
    relay: Relay, a: End, b: End, idle_timeout: float | None = None
) -> tuple[RelayHandle, Future[RelayHandle]]:
    """Add a pair to a relay; return its handle, and a future of its end."""
    ended: Future[RelayHandle] = Future()
    handle = relay.add(a, b, idle_timeout=idle_timeout, on_close=ended.set_result)
    return handle, ended


def finish(end: End) -> None:
    """End the sending of ``end``."""
    if isinstance(end, Connection):
        end.close_notify()
    else:
        end.shutdown(socket.SHUT_WR)


def send_and_finish(end: End, data: bytes) -> None:
    """Send ``data``, and end the sending."""
    end.sendall(data)
    finish(end)


def receive_all(end: End) -> bytes:
    """Receive everything up to the end."""
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def receive_exactly(end: End, size: int) -> bytes:
    """Receive ``size`` bytes, or fewer if the end comes before."""
    got = bytearray()
    while len(got) < size and (piece := end.recv(size - len(got))):
        got += piece
    return bytes(got)


def far_sealer(cipher: Cipher = AES_GCM_128) -> Sealer:
    """Return a sealer with the key of a KtlsSocket's far end, which also seals empty records."""
    return Sealer(generation(BACK, cipher=cipher).struct())


def send_raw(end: KtlsSocket, data: bytes | memoryview) -> None:
    """Send bytes on the connection of ``end`` without sealing them."""
    with socket.socket(fileno=os.dup(end.fileno())) as raw:
        raw.settimeout(DEADLINE)
        raw.sendall(data)
