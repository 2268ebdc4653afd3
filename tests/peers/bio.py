"""The ``ssl`` module without a socket: a test sends and receives its records itself."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

from tests.peers.support import dial

if TYPE_CHECKING:
    from collections.abc import Callable


def whole(flight: bytes) -> list[bytes]:
    """Return a flight in one piece."""
    return [flight]


def bytewise(flight: bytes) -> list[bytes]:
    """Split a flight into single bytes."""
    return [bytes([byte]) for byte in flight]


class BioClient:
    """A client whose data is sent when and in which pieces the test chooses."""

    def __init__(
        self, port: int, context: ssl.SSLContext, cut: Callable[[bytes], list[bytes]] = whole
    ) -> None:
        """Perform the handshake in the pieces that ``cut`` returns, but keep the last flight."""
        self._cut = cut
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.sock = dial(port)
        self._until_done(self._tls.do_handshake)

    def sealed(self, data: bytes) -> bytes:
        """Seal ``data``; return what was kept, followed by the records."""
        self._tls.write(data)
        return self.kept()

    def close_notify(self) -> bytes:
        """Seal the alert; return what was kept, followed by its record."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self.kept()

    def kept(self) -> bytes:
        """Return the data that has to be sent, and keep it no longer."""
        return self._outgoing.read()

    def send(self, wire: bytes) -> None:
        """Send data in the pieces that ``cut`` returns."""
        for piece in self._cut(wire):
            self.sock.sendall(piece)

    def receive(self) -> bytes:
        """Receive application data of our server; raise ``SSLError`` for an alert."""
        received: list[bytes] = []
        self._until_done(lambda: received.append(self._tls.read()))
        return received[0]

    def _until_done(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                self.send(self.kept())
                self._incoming.write(self.sock.recv(65536))
            else:
                return
