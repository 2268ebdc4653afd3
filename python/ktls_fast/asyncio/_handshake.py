"""Handshakes that never wait."""

import socket
import ssl
from typing import Any, Protocol

from ktls_fast import Connection

from ._openssl import OpenSSLHandshake
from ._records import RecordConnection

__all__ = ["EstablishedHandshake", "HandshakeDriver", "handshake_for"]


class HandshakeDriver(Protocol):
    """A handshake on a non-blocking socket, which it owns until it is complete."""

    @property
    def fd(self) -> int:
        """The descriptor of the socket."""

    @property
    def sock(self) -> socket.socket | None:
        """The object that the program knows the socket by; None if there is none."""

    @property
    def sslcontext(self) -> object:
        """The configuration of the handshake."""

    @property
    def wants_write(self) -> bool:
        """Whether to wait for room to write, after :meth:`advance` has returned None."""

    def advance(self) -> RecordConnection | None:
        """Do what can be done now; return the connection once the handshake is complete."""

    def info(self, name: str) -> Any:
        """Return a value of ``get_extra_info`` that the handshake has agreed on, or None."""

    def shown_error(self, exc: BaseException) -> BaseException:
        """Return the exception that users of the configuration expect for an error."""

    def close(self) -> None:
        """Close the socket, after an alert if the handshake has failed."""


class EstablishedHandshake:
    """The place of a handshake for a connection that has none left to do."""

    wants_write = False

    def __init__(self, connection: Connection) -> None:
        """Take over the connection, which becomes non-blocking."""
        self._connection = connection
        self.fd = connection.fileno()
        self.sock = None
        self.sslcontext = connection

    def advance(self) -> Connection:
        """Return the connection."""
        self._connection.setblocking(False)
        return self._connection

    def info(self, name: str) -> Any:
        """Return what the connection knows."""
        return self._connection.cipher if name == "cipher" else None

    def shown_error(self, exc: BaseException) -> BaseException:
        """Return the error as it is."""
        return exc

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def handshake_for(
    sock: socket.socket, sslcontext: object, *, server_side: bool, server_hostname: str | None
) -> HandshakeDriver:
    """Return the handshake for a context, which takes over the socket."""
    if sslcontext is None:
        sslcontext = _default_context(server_side, server_hostname)
    context: Any = sslcontext  # any object with wrap_bio, as for asyncio
    return OpenSSLHandshake(sock, context, server_side=server_side, server_hostname=server_hostname)


def _default_context(server_side: bool, server_hostname: str | None) -> ssl.SSLContext:
    """Return the context of ``ssl=True``."""
    if server_side:
        message = "Server side SSL needs a valid SSLContext"
        raise ValueError(message)
    context = ssl.create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context
