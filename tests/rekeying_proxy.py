"""A TLS proxy that updates its keys all the time, and requests the same of its peers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ktls_fast import ClientConfig, Connection, ServerConfig
from tests.peers.support import answer, listener, port_of, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.peers.ours import RekeyLimits
    from tests.peers.pki import Pki

PIECE: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class KeyUpdates:
    """The key updates of one side of the proxy."""

    ours: int
    theirs: int


class RekeyingProxy:
    """A proxy for one connection, which decrypts and encrypts."""

    def __init__(self, pki: Pki, dial: Callable[[], socket.socket]) -> None:
        """Listen; ``dial`` connects to the server when a client has come."""
        self._listening = listener()
        self.port = port_of(self._listening)
        limits: RekeyLimits = {"rekey_bytes": PIECE, "rekey_interval": 0.0, "rekey_peer": True}
        self._server = ServerConfig(pki.server.cert, pki.server.key, **limits)
        self._client = ClientConfig(pki.roots, **limits)
        self._dial = dial
        self._done = start(self._run)

    def key_updates(self) -> tuple[KeyUpdates, KeyUpdates]:
        """Return the key updates with the client and the server, once both have ended."""
        return self._done.result(60)

    def _run(self) -> tuple[KeyUpdates, KeyUpdates]:
        with (
            self._listening,
            Connection.server(answer(self._listening), self._server) as client,
            Connection.client(self._dial(), self._client, "localhost") as server,
        ):
            answers: Future[None] = start(lambda: _pump(server, client))
            _pump(client, server)
            answers.result(60)
            return _key_updates(client), _key_updates(server)


def _pump(source: Connection, target: Connection) -> None:
    """Forward everything, until one of the two ends.

    Some programs close without close_notify, or before they have read that of the other end.
    """
    with suppress(OSError):
        while data := source.read(PIECE):
            target.sendall(data)
    with suppress(OSError):
        target.close_notify()


def _key_updates(connection: Connection) -> KeyUpdates:
    return KeyUpdates(connection.tx_generation, connection.rx_generation)
