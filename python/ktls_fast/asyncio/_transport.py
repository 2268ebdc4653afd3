"""TLS transports over sockets: from the handshake to the end."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

from ktls_fast.errors import TruncatedError

from ._handshake import HandshakeDriver
from ._reading import ReadingTransport
from ._records import RecordConnection
from ._stdlib import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT, TransportServer, transport_socket

__all__ = ["TLSTransport"]

DISCARD_SIZE = 16 << 10
DISCARDS_PER_TURN = 16


class TLSTransport(ReadingTransport):
    """A TLS connection as asyncio's transport; it owns the socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        handshake: HandshakeDriver,
        *,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
        server: TransportServer | None = None,
        call_connection_made: bool = True,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Start a handshake in the next turn of the loop.

        :param handshake: it has the socket.
        :param waiter: gets the result or the error of the handshake.
        :param extra: more values of :meth:`get_extra_info`.
        :param server: counts the transport while it is open.
        :param call_connection_made: False if the protocol has a transport already.
        """
        timeouts = (
            seconds("ssl_handshake_timeout", ssl_handshake_timeout, HANDSHAKE_TIMEOUT),
            seconds("ssl_shutdown_timeout", ssl_shutdown_timeout, SHUTDOWN_TIMEOUT),
        )
        self._handshake_timeout, self._shutdown_timeout = timeouts
        self._handshake = handshake
        self._sent_close_notify = False
        extra = {**(extra or {}), "sslcontext": handshake.sslcontext}
        super().__init__(loop, protocol, handshake.fd, extra, server)
        self._waiter = waiter
        self._socket_view = handshake.sock
        self._is_connected = not call_connection_made
        loop.call_soon(self._start_handshake)

    def __repr__(self) -> str:
        """Show the descriptor and the state."""
        state = "closed" if self._is_released else "closing" if self._is_closing else "open"
        return f"<{type(self).__name__} {state} fd={self._watcher.fd}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a value of asyncio's list for TLS transports, or one of three of our own.

        ``generation`` is the number of key updates so far: of our direction and of the peer's.
        ``truncated`` is True if the peer ended without close_notify. ``backend`` is the class that
        carries the records.
        """
        if name not in self._extra and name in ("socket", "sockname", "peername"):
            self._ask_socket(name)
        if name in self._extra:
            return self._extra[name]
        known = self._own_info(name)
        known = self._handshake.info(name) if known is None else known
        return default if known is None else known

    def _own_info(self, name: str) -> Any:
        if name == "truncated":
            return self._is_truncated
        connection: Any = self._connection
        if name == "generation" and hasattr(connection, "tx_generation"):
            return (connection.tx_generation, connection.rx_generation)
        if name == "backend" and connection is not None:
            return type(connection).__name__
        return None

    def _ask_socket(self, name: str) -> None:
        if self._is_released:
            return
        view = self._view_socket()
        if name == "socket":
            self._extra[name] = transport_socket(view)
        else:
            with suppress(OSError):
                self._extra[name] = getattr(view, "get" + name)()

    def _start_handshake(self) -> None:
        if self._is_lost:
            return
        for name in ("sockname", "peername"):
            self.get_extra_info(name)  # kept for later, when the socket cannot tell
        with suppress(OSError):  # a Unix socket has no such delay
            self._view_socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_timer(self._handshake_timeout, self._handshake_timed_out)
        self._advance_handshake()

    def _advance_handshake(self) -> None:
        if self._is_lost:
            return
        try:
            connection = self._handshake.advance()
        except Exception as exc:
            self._handshake_failed(exc)
            return
        if connection is not None:
            self._watcher.stop()
            self._stop_timer()
            self._establish(connection)
        elif self._handshake.wants_write:
            self._watcher.stop_reads()
            self._watcher.watch_writes(self._advance_handshake)
        else:
            self._watcher.stop_writes()
            self._watcher.watch_reads(self._advance_handshake)

    def _handshake_failed(self, exc: Exception) -> None:
        self._fatal_error(exc, "SSL handshake failed")
        self._wake_waiter(exc)

    def _handshake_timed_out(self) -> None:
        limit = self._handshake_timeout
        message = f"SSL handshake is taking longer than {limit} seconds: aborting the connection"
        self._fatal_error(ConnectionAbortedError(message))

    def _establish(self, connection: RecordConnection) -> None:
        self._connection = connection
        if not self._is_connected:
            self._is_connected = True
            try:
                self._protocol.connection_made(self)
            except Exception as exc:
                self._fatal_error(exc, "Fatal error: protocol.connection_made() call failed.")
                return
        self._wake_waiter(None)
        if self._queue:
            self._write_ready()
        if self.is_reading():
            self._start_reading()

    def close(self) -> None:
        """Send everything that was written and close_notify, wait for the peer's, and close."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._connection is None:
            self._force_close(None)
            return
        self._watcher.stop_reads()
        self._start_timer(self._shutdown_timeout, self._shutdown_timed_out)
        if not self._queue and not self._connection.unsent:
            self._all_sent()

    def _shutdown_timed_out(self) -> None:
        self._force_close(TimeoutError("SSL shutdown timed out"))

    def _all_sent(self) -> None:
        connection: Any = self._connection
        # As asyncio's own TLS, which answers a bare FIN by a bare FIN.
        if not self._sent_close_notify and not self._is_truncated:
            try:
                connection.close_notify()
            except BlockingIOError:
                self._watcher.watch_writes(self._write_ready)
                return
            except Exception as exc:
                self._end_after_error(exc)
                return
            self._sent_close_notify = True
        if connection.unsent:
            self._watcher.watch_writes(self._write_ready)
        elif self._peer_has_ended:
            self._force_close(None)
        else:
            self._watcher.watch_reads(self._discard)
            self._discard()

    def _end_after_error(self, exc: Exception) -> None:
        # A peer that has ended may be gone; it has sent all that it had to.
        if self._peer_has_ended and isinstance(exc, OSError):
            self._force_close(None)
        else:
            self._fatal_error(exc)

    def _discard(self) -> None:
        """Wait for the peer's close_notify; what comes before it is for nobody."""
        if self._is_lost:
            return
        connection: Any = self._connection
        try:
            for _ in range(DISCARDS_PER_TURN):
                if not connection.recv(DISCARD_SIZE):
                    self._end_after_peer()
                    return
        except BlockingIOError:
            return
        except TruncatedError:
            self._is_truncated = True
            self._end_after_peer()
        except Exception as exc:
            self._fatal_error(exc)
        else:
            self._loop.call_soon(self._discard)

    def _end_after_peer(self) -> None:
        self._call_eof_received()
        self._force_close(None)

    def _shown_error(self, exc: BaseException) -> BaseException:
        return self._handshake.shown_error(exc)

    def _close_handshake(self) -> None:
        self._handshake.close()


def seconds(name: str, value: float | None, default: float) -> float:
    """Return the value of a timeout.

    :raises ValueError: it is not positive.
    """
    if value is None:
        return default
    if value <= 0:
        message = f"{name} should be a positive number, got {value}"
        raise ValueError(message)
    return value
