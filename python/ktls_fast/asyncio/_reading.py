"""The receiving half of a transport."""

import asyncio
from typing import Any, Literal

from ktls_fast.errors import TruncatedError

from ._stdlib import logger
from ._writing import WritingTransport

__all__ = ["ReadingTransport"]

READ_SIZE = 64 << 10
"""Bytes of one ``data_received``. The allocator reuses the memory of objects of this size."""
READS_PER_TURN = 4
"""Reads in one callback of the loop; other callbacks run before more is read."""


class ReadingTransport(WritingTransport):
    """A transport that opens records straight into what the protocol receives."""

    def __init__(self, *arguments: Any) -> None:
        """Create the half, which reads nothing before the connection is made."""
        self._is_paused = False
        self._peer_has_ended = False
        self._is_truncated = False
        super().__init__(*arguments)
        self.set_protocol(self._protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to ``protocol`` from now on."""
        self._protocol = protocol
        # A bound method would be a reference cycle, which delays the warning about a transport that
        # is dropped open.
        is_buffered = isinstance(protocol, asyncio.BufferedProtocol)
        this = type(self)
        self._read_once = this._read_into_protocol if is_buffered else this._read_data

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the current protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_reading(self) -> bool:
        """Return True if the protocol may receive data."""
        return not self._is_closing and not self._is_paused

    def pause_reading(self) -> None:
        """Deliver nothing until :meth:`resume_reading`; TCP slows the peer down."""
        if self.is_reading():
            self._is_paused = True
            self._watcher.stop_reads()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        if self._is_closing or not self._is_paused:
            return
        self._is_paused = False
        if self._connection is not None:
            self._start_reading()

    def _start_reading(self) -> None:
        self._watcher.watch_reads(self._read_ready)
        self._read_later()

    def _read_later(self) -> None:
        """Read what is inside, which the descriptor does not show."""
        connection: Any = self._connection
        if connection.pending():
            self._loop.call_soon(self._read_ready)

    def _read_ready(self) -> None:
        # Scheduled calls come here too, maybe after a pause or a close.
        try:
            for _ in range(READS_PER_TURN):
                if self._is_paused or self._is_closing or not self._read_once(self):
                    return
        except Exception as exc:
            self._fatal_error(exc, "Fatal error on SSL protocol")
            return
        if self.is_reading():
            self._read_later()

    def _read_data(self) -> bool:
        """Read once and deliver. Return True if more can be read."""
        connection: Any = self._connection
        try:
            data = connection.recv(READ_SIZE)
        except OSError as exc:
            return self._read_failed(exc)
        if not data:
            return self._end_of_stream()
        self._protocol.data_received(data)
        return bool(connection.pending())

    def _read_into_protocol(self) -> bool:
        """Read once into the protocol's buffer. Return True if more can be read."""
        connection: Any = self._connection
        buffer = self._protocol.get_buffer(-1)
        if not len(buffer):
            message = "get_buffer() returned an empty buffer"
            raise RuntimeError(message)
        try:
            count = connection.recv_into(buffer)
        except OSError as exc:
            return self._read_failed(exc)
        if not count:
            return self._end_of_stream()
        self._protocol.buffer_updated(count)
        return bool(connection.pending())

    def _read_failed(self, exc: OSError) -> Literal[False]:
        """Handle an error of the connection, or one that means that nothing has come yet."""
        if isinstance(exc, BlockingIOError):
            return False
        if not isinstance(exc, TruncatedError):
            self._fatal_error(exc, "Fatal read error on SSL transport")
            return False
        # asyncio's own TLS treats a FIN without close_notify as a regular end, and so many peers
        # end this way that programs depend on it.
        self._is_truncated = True
        return self._end_of_stream()

    def _end_of_stream(self) -> Literal[False]:
        """Notify the protocol that the peer has ended its direction, and close ours."""
        self._watcher.stop_reads()
        self._call_eof_received()
        self.close()
        return False

    def _call_eof_received(self) -> None:
        self._peer_has_ended = True
        try:
            keep_open = self._protocol.eof_received()
        except Exception as exc:
            self._fatal_error(exc, "Error calling eof_received()")
            return
        if keep_open:
            logger.warning("returning true from eof_received() has no effect when using ssl")
