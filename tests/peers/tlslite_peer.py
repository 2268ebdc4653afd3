"""tlslite-ng as a peer: a TLS library in pure Python, which can also violate rules."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

with warnings.catch_warnings():
    # tlslite imports asyncore, which Python 3.11 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
    from tlslite.errors import TLSRemoteAlert
    from tlslite.messages import Message

from tests.peers.pki import pki
from tests.peers.support import answer, dial, listener, port_of, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")

CIPHERS = {
    "aes128gcm": "TLS_AES_128_GCM_SHA256",
    "aes256gcm": "TLS_AES_256_GCM_SHA384",
    "chacha20-poly1305": "TLS_CHACHA20_POLY1305_SHA256",
}
"""The names of the TLS 1.3 cipher suites in the RFC, by tlslite's names."""

TLS12, TLS13 = (3, 3), (3, 4)


class TlsLite:
    """A connection of tlslite, with typed methods."""

    def __init__(self, wrapped: TLSConnection) -> None:
        """Take over a connection after its handshake."""
        self._wrapped = wrapped

    def send(self, data: bytes) -> None:
        """Send application data."""
        self._wrapped.sendall(data)

    def receive_alert(self) -> tuple[int, int]:
        """Receive an alert, which must come instead of data; return its level and description."""
        try:
            data = self._wrapped.read(1, 1)
        except TLSRemoteAlert as alert:
            return alert.level, alert.description
        message = f"{data!r} instead of an alert"
        raise AssertionError(message)

    def receive(self, size: int) -> bytes:
        """Receive ``size`` bytes, or fewer at the end."""
        return bytes(self._wrapped.read(size, size))

    def key_update(self, reply: int) -> None:
        """Send a KeyUpdate and install the next key for sending."""
        for _ in self._wrapped.send_keyupdate_request(reply):
            pass

    def send_message(self, content_type: int, data: bytes) -> None:
        """Seal and send any data as a record of any type."""
        for _ in self._wrapped._sendMsg(Message(content_type, bytearray(data))):
            pass

    def pad_by(self, size: int) -> None:
        """Pad all further records by ``size`` zeros."""
        self._wrapped.padding_cb = lambda _length, _type, _limit: size

    def close(self) -> None:
        """Send close_notify, wait for that of the peer, and close the socket."""
        self._wrapped.close()

    def abandon(self) -> None:
        """Close the socket without sending close_notify."""
        self._wrapped.sock.close()


def lite_connect(port: int, cipher: str = "aes128gcm", version: tuple[int, int] = TLS13) -> TlsLite:
    """Connect a client of tlslite, and return it after its handshake."""
    wrapped = TLSConnection(dial(port))
    wrapped.handshakeClientCert(settings=_settings(cipher, version), serverName="localhost")
    return TlsLite(wrapped)


def lite_serve(
    handle: Callable[[TlsLite], T], cipher: str = "aes128gcm", version: tuple[int, int] = TLS13
) -> tuple[int, Future[T]]:
    """Start a tlslite server for one connection; return its port, and a future of ``handle``."""
    listening = listener()

    def run() -> T:
        with listening:
            wrapped = TLSConnection(answer(listening))
        chain = X509CertChain()
        chain.parsePemList(pki().server.cert.decode())
        wrapped.handshakeServer(
            certChain=chain,
            privateKey=parsePEMKey(pki().server.key.decode(), private=True),
            settings=_settings(cipher, version),
        )
        return handle(TlsLite(wrapped))

    return port_of(listening), start(run)


def _settings(cipher: str, version: tuple[int, int]) -> HandshakeSettings:
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    settings.cipherNames = [cipher]
    return settings
