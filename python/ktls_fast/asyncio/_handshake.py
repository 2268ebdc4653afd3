"""Handshakes that never wait."""

import socket
import ssl
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol

from ktls_fast import (
    ClientConfig,
    Connection,
    HandshakeError,
    ServerConfig,
    WantReadError,
    WantWriteError,
)

from ._borrowed import borrow_back
from ._connection_info import ConnectionInfo
from ._openssl import OpenSSLHandshake
from ._records import RecordConnection

__all__ = ["EstablishedHandshake", "HandshakeDriver", "RustlsHandshake", "handshake_for"]


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


class RustlsHandshake:
    """A handshake by rustls, over a non-blocking socket."""

    def __init__(
        self, sock: socket.socket, config: ServerConfig | ClientConfig, server_hostname: str | None
    ) -> None:
        """Take over the socket."""
        self.sslcontext = config
        self.wants_write = False
        self._server_hostname = server_hostname
        self.fd = sock.fileno()
        if isinstance(config, ServerConfig):
            self._connection = Connection.server(sock, config)
        else:
            self._connection = Connection.client(sock, config, server_hostname or "")
        self.sock = borrow_back(sock, self.fd)
        self._has_alert = False

    def advance(self) -> Connection | None:
        """Do what can be done now; return the connection once the handshake is complete."""
        try:
            self._connection.do_handshake()
        except WantWriteError:
            self.wants_write = True
            return None
        except WantReadError:
            self.wants_write = False
            return None
        except HandshakeError:
            self._has_alert = True
            raise
        return self._connection

    @cached_property
    def _object(self) -> ConnectionInfo:
        return ConnectionInfo(self._connection, self.sslcontext, self._server_hostname)

    def info(self, name: str) -> Any:
        """Return what rustls has agreed on, or None before the handshake is complete."""
        if not self._connection.handshake_complete:
            return None
        if name == "ssl_object":
            return self._object
        if name == "peercert":
            return self._object.getpeercert()
        return self._object.cipher() if name == "cipher" else None

    def shown_error(self, exc: BaseException) -> BaseException:
        """Return the error as it is."""
        return exc

    def close(self) -> None:
        """Close the socket, behind the alert if there is one."""
        if not self._has_alert:
            # Otherwise the descriptor would stay open until the peer's FIN.
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def handshake_for(
    sock: socket.socket, sslcontext: object, *, server_side: bool, server_hostname: str | None
) -> HandshakeDriver:
    """Return the handshake of a context or a configuration; it takes over the socket.

    :raises TypeError: the configuration is of the other side.
    """
    if sslcontext is None:
        sslcontext = _default_context(server_side, server_hostname)
    if isinstance(sslcontext, ServerConfig if server_side else ClientConfig):
        return RustlsHandshake(sock, sslcontext, server_hostname)
    if isinstance(sslcontext, (ServerConfig, ClientConfig)):
        side = "a server" if server_side else "a client"
        message = f"{type(sslcontext).__name__} cannot be used by {side}"
        raise TypeError(message)
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
