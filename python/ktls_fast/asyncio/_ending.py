"""How a transport ends: callbacks of the protocol, errors, and the release of what it holds."""

import asyncio
import socket
import warnings
from contextlib import suppress
from typing import Any

from ._borrowed import borrow
from ._records import RecordConnection
from ._stdlib import (
    HIGH_WATER,
    FallbackSendfile,
    FlowControl,
    TransportServer,
    attach,
    claim_descriptor,
    detach,
    logger,
)
from ._watcher import DescriptorWatcher

__all__ = ["EndingTransport"]


class EndingTransport(FlowControl):
    """A transport that is open until :meth:`_force_close`, and then ends exactly once."""

    _start_tls_compatible = True
    _sendfile_compatible = FallbackSendfile

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        fd: int,
        extra: dict[str, Any],
        server: TransportServer | None,
    ) -> None:
        """Take the place of the user of ``fd`` at the loop.

        :raises RuntimeError: a transport of the loop uses ``fd`` already.
        """
        claim_descriptor(loop, fd, self)
        super().__init__(extra, loop)
        self._extra = extra
        self._set_write_buffer_limits(HIGH_WATER)
        self._watcher = DescriptorWatcher(loop, fd)
        self._connection: RecordConnection | None = None
        self._protocol: Any = protocol
        self._server = server
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_connected = False  # connection_made was called
        self._is_closing = False  # close() was called, or the transport is lost
        self._is_lost = False  # connection_lost is scheduled
        self._is_released = False  # the socket is closed
        self._socket_view: socket.socket | None = None
        if server is not None:
            attach(server, self)

    def is_closing(self) -> bool:
        """Return True once the transport is closing or closed."""
        return self._is_closing

    def abort(self) -> None:
        """Close the transport at once; data that TCP has not accepted is lost."""
        self._force_close(None)

    def _fatal_error(
        self, exc: BaseException, message: str = "Fatal error on SSL transport"
    ) -> None:
        """Report an error and end the transport with it."""
        exc = self._shown_error(exc)
        if not isinstance(exc, OSError):
            self._report(exc, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=exc)
        self._force_close(exc)

    def _report(self, exc: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
        )

    def _force_close(self, exc: BaseException | None) -> None:
        """Stop all work, and call connection_lost in the next turn of the loop."""
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._drop_queue()
        self._watcher.stop()
        self._stop_timer()
        self._loop.call_soon(self._lose_connection, exc)

    def _lose_connection(self, exc: BaseException | None) -> None:
        try:
            if self._is_connected:
                self._protocol.connection_lost(exc)
        finally:
            self._wake_waiter(exc)
            self._wake_drain_waiters(exc)
            self._release()
            self._protocol = None
            if self._server is not None:
                detach(self._server, self)
                self._server = None

    def _wake_waiter(self, exc: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if exc is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(exc)

    def _start_timer(self, seconds: float, callback: Any) -> None:
        self._timer = self._loop.call_later(seconds, callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        """Close the socket."""
        if self._is_released:
            return
        self._is_released = True
        connection, self._connection = self._connection, None
        if connection is not None:
            self._end_tcp(connection)
        else:
            self._close_handshake()
        self._forget_socket_view()

    def _end_tcp(self, connection: RecordConnection) -> None:
        # Nothing is left that anybody waits for. After the shutdown the close is complete at once;
        # otherwise the descriptor would stay open until the peer's FIN.
        with suppress(OSError):
            self._view_socket().shutdown(socket.SHUT_RDWR)
        connection.close()

    def _view_socket(self) -> socket.socket:
        """Return a socket object for the descriptor."""
        if self._socket_view is None:
            self._socket_view = borrow(self._watcher.fd)
        return self._socket_view

    def _forget_socket_view(self) -> None:
        if self._socket_view is not None:
            self._socket_view.detach()

    def _shown_error(self, exc: BaseException) -> BaseException:
        """Return the exception that users of the configuration expect."""
        raise NotImplementedError

    def _close_handshake(self) -> None:
        """Close the socket of a handshake that is not complete."""
        raise NotImplementedError

    def _drop_queue(self) -> None:
        """Forget data that was not sent."""
        raise NotImplementedError

    def _wake_drain_waiters(self, exc: BaseException | None) -> None:
        """Wake those who wait until everything is sent."""
        raise NotImplementedError

    def __del__(self) -> None:
        """Warn about a transport that was not closed, and close its socket."""
        if not getattr(self, "_is_released", True):
            message = f"unclosed transport {self!r}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)
            self._release()
