"""The ``ssl`` module without a socket of its own: its records pass through the hands of a test."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

from tests.peers.support import dial

if TYPE_CHECKING:
    from collections.abc import Callable


def whole(flight: bytes) -> list[bytes]:
    """A flight in one piece."""
    return [flight]


def bytewise(flight: bytes) -> list[bytes]:
    """A flight byte by byte."""
    return [bytes([byte]) for byte in flight]


class BioClient:
    """A client whose bytes are sent when and as the test wants."""

    def __init__(
        self, port: int, context: ssl.SSLContext, cut: Callable[[bytes], list[bytes]] = whole
    ) -> None:
        """Shake hands, each flight in the pieces that ``cut`` makes, but keep the last one."""
        self._cut = cut
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.sock = dial(port)
        self._until_done(self._tls.do_handshake)

    def sealed(self, data: bytes) -> bytes:
        """The records of ``data``, behind what was kept."""
        self._tls.write(data)
        return self.kept()

    def close_notify(self) -> bytes:
        """The record of the alert, behind what was kept."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self.kept()

    def kept(self) -> bytes:
        """What the module wants to have sent."""
        return self._outgoing.read()

    def send(self, wire: bytes) -> None:
        """Send bytes in pieces."""
        for piece in self._cut(wire):
            self.sock.sendall(piece)

    def receive(self) -> bytes:
        """Application data of our server; an alert of it is an ``SSLError``."""
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
