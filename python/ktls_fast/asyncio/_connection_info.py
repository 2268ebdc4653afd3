"""What applications ask the SSL object of a transport, answered for a handshake by rustls."""

import ssl
import tempfile
from typing import Any

from ktls_fast import Connection, TLSObject

__all__ = ["ConnectionInfo"]


class ConnectionInfo:
    """The queries of :class:`ssl.SSLObject`; reading and writing is left to the transport."""

    def __init__(
        self, connection: Connection | TLSObject, context: object, server_hostname: str | None
    ) -> None:
        """Describe a connection whose handshake is complete."""
        self._connection = connection
        self.context = context
        self.server_side = server_hostname is None
        self.server_hostname = server_hostname
        self.session = None

    @property
    def session_reused(self) -> bool:
        """Whether the handshake used a session ticket."""
        return self._connection.resumed

    def version(self) -> str | None:
        """Return the protocol version, such as ``"TLSv1.3"``; None before the handshake."""
        return self._connection.version

    def cipher(self) -> tuple[str, str, int] | None:
        """Return the name of the suite, its protocol version, and the bits of its key."""
        name, version = self._connection.cipher, self.version()
        if name is None or version is None:
            return None
        return name, version, 128 if "128" in name or "SM4" in name else 256

    def shared_ciphers(self) -> None:
        """Return None: rustls does not keep the client's list."""

    def compression(self) -> None:
        """Return None: TLS 1.3 has no compression."""

    def selected_alpn_protocol(self) -> str | None:
        """Return the protocol that was negotiated by ALPN, or None."""
        return self._connection.alpn

    def selected_npn_protocol(self) -> None:
        """Return None: NPN is obsolete."""

    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """Return the certificate of the peer as a dict or as DER; None if it has sent none."""
        chain = self._connection.peer_certificates
        if not chain:
            return None
        return chain[0] if binary_form else decode_certificate(chain[0])

    def pending(self) -> int:
        """Return the number of received bytes that wait inside."""
        return self._connection.pending()

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:
        """Return None for "tls-unique", which TLS 1.3 does not have.

        :raises ValueError: an unknown type.
        """
        if cb_type not in ssl.CHANNEL_BINDING_TYPES:
            message = f"{cb_type} channel binding type not implemented"
            raise ValueError(message)


def decode_certificate(der: bytes) -> dict[str, Any]:
    """Return a certificate in the form of :meth:`ssl.SSLSocket.getpeercert`."""
    # The module offers the conversion for files only.
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
        file.write(ssl.DER_cert_to_PEM_cert(der))
        file.flush()
        result: dict[str, Any] = decode(file.name)
    return result
