"""The two transports of records below an SSL object: a pair of memory BIOs, and a socket."""

import os
import select
import socket
import ssl
import threading
import time
import weakref
from contextlib import suppress
from typing import Protocol

from .observer import HEADER_LENGTH, records_of
from .ssl_errors import want_read, want_write

Deadline = float | None
"""A time of :func:`time.monotonic`; None waits forever, and 0.0 never waits."""

_MAX_CIPHERTEXT = (1 << 14) + 2048  # TLS 1.2; TLS 1.3 allows less
_TYPES = range(20, 25)
_MILLISECONDS = 1000.0
_MANY = 1 << 16
_THREAD_BUFFER_SIZE = 1 << 18
_threads = threading.local()


def _thread_buffer() -> bytearray:
    """Return memory for ciphertext. Fresh memory of this size costs more than the decryption."""
    buffer: bytearray | None = getattr(_threads, "buffer", None)
    if buffer is None:
        buffer = _threads.buffer = bytearray(_THREAD_BUFFER_SIZE)
    return buffer


class Wire(Protocol):
    """A transport of records."""

    @property
    def has_unsent(self) -> bool:
        """Whether :meth:`flush` has something to do."""

    def deadline(self) -> Deadline:
        """Return when a call that begins now has to end."""

    def take(self, n: int, until: Deadline) -> bytes:
        """Return up to ``n`` bytes of the peer, or nothing if the transport has ended.

        :raises ssl.SSLWantReadError: none are there, and the call may not wait.
        :raises TimeoutError: the deadline has passed.
        """

    def send(self, data: bytes, until: Deadline) -> None:
        """Send ``data``, or keep what cannot be sent before raising.

        :raises ssl.SSLWantWriteError: the transport takes nothing now, and the call may not wait.
        :raises TimeoutError: the deadline has passed.
        """

    def flush(self, until: Deadline) -> None:
        """Send what :meth:`send` has kept."""

    def end(self) -> socket.socket | None:
        """Return what ``unwrap`` returns: the socket, or None for BIOs."""


class BioWire:
    """Memory BIOs of the caller."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        """Use the BIOs that were passed to ``wrap_bio``."""
        self.incoming, self.outgoing = incoming, outgoing

    @property
    def has_unsent(self) -> bool:
        """Whether :meth:`flush` has something to do: never."""
        return False

    def deadline(self) -> Deadline:
        """Return 0.0: BIOs never wait."""
        return 0.0

    def take(self, n: int, until: Deadline) -> bytes:
        """Return up to ``n`` bytes of ``incoming``."""
        data = self.incoming.read(n)
        if not data and not self.incoming.eof:
            raise want_read()
        return data

    def send(self, data: bytes, until: Deadline) -> None:
        """Append ``data`` to ``outgoing``."""
        self.outgoing.write(data)

    def flush(self, until: Deadline) -> None:
        """Do nothing: BIOs take everything at once."""

    def end(self) -> None:
        """Return None, as the standard library does."""


class SocketWire:
    """A connected socket. Its timeout applies to each call as a whole."""

    def __init__(self, sock: socket.socket) -> None:
        """Use ``sock``, which is the SSLSocket itself.

        It is referred to weakly, so that a dropped socket is closed with its ResourceWarning.
        """
        self._sock = weakref.ref(sock)
        self._unsent = memoryview(b"")

    @property
    def has_unsent(self) -> bool:
        """Whether :meth:`flush` has something to do."""
        return bool(self._unsent)

    def deadline(self) -> Deadline:
        """Return when a call has to end by the timeout of the socket."""
        timeout = self._alive().gettimeout()
        return time.monotonic() + timeout if timeout else timeout

    def take(self, n: int, until: Deadline) -> bytes:
        """Return up to ``n`` bytes of the socket."""
        sock = self._alive()
        while True:
            try:
                return os.read(sock.fileno(), n)
            except BlockingIOError:
                _wait(sock, select.POLLIN, until)
            except BrokenPipeError:
                # A reset behind the peer's FIN, for records that it did not read, such as tickets.
                return b""

    def take_many(self, n: int, until: Deadline) -> "bytes | memoryview[int]":
        """Return up to ``n`` bytes like :meth:`take`.

        Many bytes come in a buffer of the thread, which the next call overwrites.
        """
        if n < _MANY:
            return self.take(n, until)
        sock, view = self._alive(), memoryview(_thread_buffer())[:n]
        while True:
            try:
                return view[: os.readv(sock.fileno(), [view])]
            except BlockingIOError:
                _wait(sock, select.POLLIN, until)
            except BrokenPipeError:
                return b""

    def send(self, data: bytes, until: Deadline) -> None:
        """Send ``data`` after what was kept before."""
        self._unsent = memoryview(bytes(self._unsent) + data if self._unsent else data)
        self.flush(until)

    def flush(self, until: Deadline) -> None:
        """Send what was kept."""
        if not self._unsent:
            return
        sock = self._alive()
        while self._unsent:
            try:
                self._unsent = self._unsent[os.write(sock.fileno(), self._unsent) :]
            except BlockingIOError:
                _wait(sock, select.POLLOUT, until)

    def end(self) -> socket.socket:
        """Return the socket."""
        return self._alive()

    def _alive(self) -> socket.socket:
        sock = self._sock()
        if sock is None:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "Underlying socket connection gone")
        return sock


class RecordBorder:
    """Finds the last border between two records in a stream."""

    def __init__(self) -> None:
        """Begin at a border."""
        self.held = 0
        """The number of bytes behind the last border."""
        self._missing = 0
        self._header = b""

    def pass_over(self, data: "bytes | memoryview[int]") -> None:
        """Continue with ``data``, the next bytes of the stream."""
        position, size = min(self._missing, len(data)), len(data)
        if self._missing:
            self._missing -= position
            self.held = self.held + position if self._missing else 0
        while position < size:
            header = self._header + data[position : position + HEADER_LENGTH - len(self._header)]
            position += len(header) - len(self._header)
            self.held, self._header = len(header), header
            if len(header) == HEADER_LENGTH:
                position = self._pass_over_body(position, size)

    def _pass_over_body(self, position: int, size: int) -> int:
        length = int.from_bytes(self._header[3:])
        here = min(length, size - position)
        self._header, self._missing = b"", length - here
        self.held = HEADER_LENGTH + here if self._missing else 0
        return position + here


class RecordReader:
    """Takes exactly one record at a time from a wire.

    OpenSSL then never gets the beginning of a record, which could not be got back from it, and
    nothing behind the record is taken: a program that waits in ``select`` sees it.
    """

    def __init__(self, wire: Wire) -> None:
        """Read from ``wire``."""
        self._wire = wire
        self._part = bytearray()
        self._is_tls = True

    def read_record(self, until: Deadline) -> bytes:
        """Return the next record; nothing if the wire has ended between two records.

        Returns what is there if it cannot be a record, or if the wire ends inside of one: OpenSSL
        knows the right error.

        :raises ssl.SSLWantReadError: the record is not complete. Its beginning is kept.
        :raises TimeoutError: the deadline has passed. The beginning of the record is kept.
        """
        if not self._is_tls:
            return self._wire.take(_MAX_CIPHERTEXT, until)
        while missing := self._missing():
            data = self._wire.take(missing, until)
            self._part += data
            if not data:
                break
        record = bytes(self._part)
        self._part.clear()
        return record

    def read_flight(self, until: Deadline) -> bytes:
        """Return the next record and, from BIOs, all whole records behind it.

        Fewer calls of OpenSSL are worth it in a handshake. :meth:`give_back` returns the rest.
        """
        flight = self.read_record(until)
        if flight and isinstance(self._wire, BioWire):
            behind = self._wire.incoming.read()
            border = sum(len(record) for record in records_of(behind))
            flight += behind[:border]
            self._part += behind[border:]
        return flight

    def give_back(self, records: bytes) -> None:
        """Put records back that OpenSSL did not need, in front of what is here."""
        self._part[:0] = records
        if self._part and isinstance(self._wire, BioWire):
            # A caller may look at the BIO to find out whether there is something to read.
            with suppress(ssl.SSLError):  # its owner has ended it
                self._wire.incoming.write(self._part)
                self._part.clear()

    def take_part(self) -> bytes:
        """Take what was read and not returned."""
        part = bytes(self._part)
        self._part.clear()
        return part

    def _missing(self) -> int:
        part = self._part
        if len(part) < HEADER_LENGTH:
            return HEADER_LENGTH - len(part)
        length = int.from_bytes(part[3:HEADER_LENGTH])
        if part[0] not in _TYPES or part[1] != 3 or length > _MAX_CIPHERTEXT:
            self._is_tls = False
            return 0
        return HEADER_LENGTH + length - len(part)


def _wait(sock: socket.socket, events: int, until: Deadline) -> None:
    """Wait for ``events``, or raise what ``ssl`` raises if they do not come in time."""
    reading = events == select.POLLIN
    if until == 0.0:
        raise want_read() if reading else want_write()
    poll = select.poll()
    poll.register(sock, events)
    left = None if until is None else max(until - time.monotonic(), 0.0) * _MILLISECONDS
    if not poll.poll(left):
        msg = f"The {'read' if reading else 'write'} operation timed out"
        raise TimeoutError(msg)
