"""The sending half of a transport."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._ending import EndingTransport
from ._stdlib import LOG_LATE_WRITES_FROM, logger

if TYPE_CHECKING:
    import asyncio

__all__ = ["WritingTransport"]

MAX_SEND = 1 << 20
"""Bytes that one callback of the loop may send."""
MAX_JOIN = 128 << 10
"""Parts of ``writelines`` up to this total are joined, so that small ones share records."""


class WritingTransport(EndingTransport):
    """A transport that seals and sends at once, and queues only what TCP refuses."""

    def __init__(self, *arguments: Any) -> None:
        """Create the half without anything to send."""
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._late_writes = 0
        self._drain_waiters: list[asyncio.Future[None]] = []
        super().__init__(*arguments)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; the call never waits."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            message = f"data: expecting a bytes-like instance, got {type(data).__name__}"
            raise TypeError(message)
        if not data:
            return
        if self._is_closing:
            self._count_late_write()
        elif self._queue or self._connection is None:
            self._enqueue(data)
        elif len(data) > MAX_SEND:
            self._watcher.watch_writes(self._write_ready)
            self._enqueue(data)
            self._write_ready()
        else:
            self._send(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all parts; small ones share records."""
        parts = list(list_of_data)
        if sum(map(len, parts)) <= MAX_JOIN:
            self.write(b"".join(parts))
        else:
            for part in parts:
                self.write(part)

    def can_write_eof(self) -> bool:
        """Return False, as all TLS transports of asyncio do."""
        return False

    def write_eof(self) -> None:
        """Raise NotImplementedError, as all TLS transports of asyncio do."""
        raise NotImplementedError

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that TCP has not accepted, sealed ones included."""
        return self._queued + (self._connection.unsent if self._connection is not None else 0)

    async def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate, and wait until TCP has accepted it (RFC 8446 §4.6.3).

        :param request_peer: request a KeyUpdate from the peer in return.
        :raises BrokenPipeError: the transport is closing or closed.
        """
        while True:
            if self._is_closing or self._connection is None:
                message = "the transport is closing"
                raise BrokenPipeError(message)
            try:
                self._connection.key_update(request_peer)
                break
            except BlockingIOError:
                await self._wait_until_sent()
        if self._connection.unsent:
            await self._wait_until_sent()

    async def _wait_until_sent(self) -> None:
        waiter = self._loop.create_future()
        self._drain_waiters.append(waiter)
        self._watcher.watch_writes(self._write_ready)
        await waiter

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` now; nothing is queued before it."""
        connection: Any = self._connection
        try:
            sent = connection.send(data)
        except BlockingIOError:
            sent = 0
        except Exception as exc:
            self._fatal_error(exc)
            return
        if sent < len(data) or connection.unsent:
            self._watcher.watch_writes(self._write_ready)
            self._enqueue(data, sent)

    def _enqueue(self, data: bytes | bytearray | memoryview, sent: int = 0) -> None:
        """Queue what is not sent of ``data``, which the caller may change after the call."""
        rest = memoryview(data if isinstance(data, bytes) else bytes(data))[sent:]
        if rest:
            self._queue.append(rest)
            self._queued += len(rest)
        self._maybe_pause_protocol()

    def _drop_queue(self) -> None:
        self._queue.clear()
        self._queued = 0

    def _count_late_write(self) -> None:
        if self._is_lost:
            if self._late_writes >= LOG_LATE_WRITES_FROM:
                logger.warning("SSL connection is closed")
            self._late_writes += 1

    def _write_ready(self) -> None:
        if self._is_lost:
            return
        try:
            self._send_queue()
        except BlockingIOError:
            pass
        except Exception as exc:
            self._fatal_error(exc)
            return
        self._maybe_resume_protocol()
        if not self._is_lost:
            self._after_sending()

    def _send_queue(self) -> None:
        connection: Any = self._connection
        left = MAX_SEND
        while self._queue and left > 0:
            head = self._queue[0]
            sent = connection.send(head[:left])
            self._queued -= sent
            left -= sent
            if sent == len(head):
                self._queue.popleft()
            else:
                self._queue[0] = head[sent:]
                if left > 0:
                    return
        if not self._queue and connection.unsent:
            connection.send(b"")

    def _after_sending(self) -> None:
        connection: Any = self._connection
        if self._queue or connection.unsent:
            self._watcher.watch_writes(self._write_ready)
            return
        self._watcher.stop_writes()
        self._wake_drain_waiters(None)
        if self._is_closing:
            self._all_sent()

    def _wake_drain_waiters(self, exc: BaseException | None) -> None:
        waiters, self._drain_waiters = self._drain_waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if exc is None and not self._is_lost:
                waiter.set_result(None)
            else:
                waiter.set_exception(exc or BrokenPipeError("the transport was closed"))

    def _all_sent(self) -> None:
        """Continue to close: everything is sent."""
        raise NotImplementedError
