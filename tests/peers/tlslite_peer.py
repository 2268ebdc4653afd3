"""tlslite-ng as a peer: a TLS library in pure Python that can also be made to break the rules."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

with warnings.catch_warnings():
    # tlslite brings a class for asyncore along, which Python 3.11 warns of.
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
"""tlslite's names of the suites of TLS 1.3, and the RFC's."""

TLS12, TLS13 = (3, 3), (3, 4)


class TlsLite:
    """A connection of tlslite's, in a form that can be typed."""

    def __init__(self, wrapped: TLSConnection) -> None:
        """Take over a connection after its handshake."""
        self._wrapped = wrapped

    def send(self, data: bytes) -> None:
        """Send application data."""
        self._wrapped.sendall(data)

    def receive_alert(self) -> tuple[int, int]:
        """Level and description of the alert that must come instead of data."""
        try:
            data = self._wrapped.read(1, 1)
        except TLSRemoteAlert as alert:
            return alert.level, alert.description
        message = f"{data!r} instead of an alert"
        raise AssertionError(message)

    def receive(self, size: int) -> bytes:
        """Exactly ``size`` bytes; fewer at the end."""
        return bytes(self._wrapped.read(size, size))

    def key_update(self, reply: int) -> None:
        """Send a KeyUpdate and switch the sending key."""
        for _ in self._wrapped.send_keyupdate_request(reply):
            pass

    def send_message(self, content_type: int, data: bytes) -> None:
        """Seal and send any bytes as any type of record."""
        for _ in self._wrapped._sendMsg(Message(content_type, bytearray(data))):
            pass

    def pad_by(self, size: int) -> None:
        """Put so many zeros behind every record from now on."""
        self._wrapped.padding_cb = lambda _length, _type, _limit: size

    def close(self) -> None:
        """Send close_notify, wait for the peer's, close the socket."""
        self._wrapped.close()

    def abandon(self) -> None:
        """Close the socket without a word."""
        self._wrapped.sock.close()


def lite_connect(port: int, cipher: str = "aes128gcm", version: tuple[int, int] = TLS13) -> TlsLite:
    """Tlslite's client, after its handshake."""
    wrapped = TLSConnection(dial(port))
    wrapped.handshakeClientCert(settings=_settings(cipher, version), serverName="localhost")
    return TlsLite(wrapped)


def lite_serve(
    handle: Callable[[TlsLite], T], cipher: str = "aes128gcm", version: tuple[int, int] = TLS13
) -> tuple[int, Future[T]]:
    """Tlslite's server for one connection: its port, and what ``handle`` will have returned."""
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
