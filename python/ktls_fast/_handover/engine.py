"""The engine in place of OpenSSL: what ``SSLObject`` and ``SSLSocket`` call after a hand-over."""

import ssl
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, cast

from ktls_fast._core import TLSObject
from ktls_fast.errors import WantReadError

from .ssl_errors import after_failure, closed_by_both, converted, ssl_error, want_read
from .tickets import TicketReader
from .wires import BioWire, Deadline, RecordBorder, SocketWire
from .writer import WireWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer

_OVERHEAD = 21
"""The least that a record adds to its plaintext, in every suite and version."""


class EngineCarrier(ABC):
    """What both transports have in common."""

    def __init__(self, tls: TLSObject, tickets: TicketReader | None) -> None:
        """Carry the records of ``tls``."""
        self.tls = tls
        self.pending = tls.pending
        self._tickets = tickets
        self._failed = False
        self._closed = False

    def do_handshake(self) -> None:
        """Return: the handshake is done."""
        return

    @abstractmethod
    def key_update(self, *, request_peer: bool) -> None:
        """Send a KeyUpdate."""

    def _receive(self, data: "bytes | memoryview[int]") -> None:
        """Store bytes of the wire; nothing means that it has ended."""
        if not data:
            self.tls.receive_eof()
            return
        self.tls.receive(data)
        if self._tickets is not None and not self._tickets.read(data):
            self._tickets = None

    def _open(self, n: int, buffer: "Buffer | None") -> bytes | int:
        got = self.tls.read(n) if buffer is None else self.tls.recv_into(buffer, n)
        if not got and self._closed:
            raise closed_by_both()
        return got

    def _check(self) -> None:
        if self._failed:
            raise after_failure()

    def _check_write(self) -> None:
        if self._closed:
            reason = "PROTOCOL_IS_SHUTDOWN"
            raise ssl_error(reason)
        self._check()

    def _fail(self, error: OSError) -> NoReturn:
        """Raise what ``ssl`` would raise for a fatal error."""
        self._failed = True
        raise converted(error) from error

    def _close(self) -> None:
        if self._failed:
            reason = "SHUTDOWN_WHILE_IN_INIT"
            raise ssl_error(reason)
        self.tls.close_notify()
        self._closed = True

    def _await_close(self) -> bool:
        """Return whether the peer's close_notify was read, after what was received so far.

        :raises ssl.SSLError: the peer has sent data in front of it.
        """
        try:
            if self.tls.read(1):
                reason = "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
                self._failed = True
                raise ssl_error(reason)
        except WantReadError:
            return False
        except ssl.SSLError:
            raise
        except OSError as error:
            self._fail(error)
        return True


class BioEngine(EngineCarrier):
    """The engine on the memory BIOs of the caller."""

    def __init__(self, tls: TLSObject, wire: BioWire, tickets: TicketReader | None) -> None:
        """Carry the records of ``tls`` over ``wire``."""
        super().__init__(tls, tickets)
        self._incoming, self._outgoing = wire.incoming, wire.outgoing
        self._take = wire.incoming.read

    def read(self, n: int = 1024, buffer: "Buffer | None" = None) -> bytes | int:
        """Return up to ``n`` bytes, or read them into ``buffer`` and return their number."""
        if n <= 0 or buffer is not None:
            n = _size(n, buffer)
            if not n:
                return b"" if buffer is None else 0
        if self._failed:
            raise after_failure()
        tls = self.tls
        if data := self._take():
            self._receive(data)
        elif not tls.pending():
            self._receive_end()
        try:
            return self._open(n, buffer)
        except WantReadError:
            raise want_read() from None
        except ssl.SSLError:
            raise
        except OSError as error:
            self._fail(error)
        finally:
            if tls.unsent:
                self._outgoing.write(tls.data_to_send())

    def write(self, data: "Buffer") -> int:
        """Seal all of ``data`` and return its length."""
        if self._failed or self._closed:
            self._check_write()
        try:
            written = self.tls.write(data)
        except OSError as error:
            raise converted(error) from error
        self._outgoing.write(self.tls.data_to_send())
        return written

    def key_update(self, *, request_peer: bool) -> None:
        """Send a KeyUpdate."""
        self.tls.key_update(request_peer)
        self._outgoing.write(self.tls.data_to_send())

    def shutdown(self) -> None:
        """Exchange close_notify; what is behind that of the peer goes back to its BIO."""
        self._close()
        self._outgoing.write(self.tls.data_to_send())
        if data := self._incoming.read():
            self.tls.receive(data)
        if self._incoming.eof:
            self.tls.receive_eof()
        if not self._await_close():
            raise want_read()
        with suppress(ssl.SSLError):  # the BIO was ended by its owner
            self._incoming.write(self.tls.leftover())

    def _receive_end(self) -> None:
        if self._incoming.eof:
            self.tls.receive_eof()
        elif not self.tls.closed_by_peer:
            raise want_read()


class SocketEngine(EngineCarrier):
    """The engine on a socket. One thread may read while another one writes."""

    def __init__(self, tls: TLSObject, wire: SocketWire, tickets: TicketReader | None) -> None:
        """Carry the records of ``tls`` over ``wire``."""
        super().__init__(tls, tickets)
        self._wire = wire
        self._border = RecordBorder()
        self._reading = threading.Lock()
        self._writer = WireWriter(wire)

    def read(self, n: int = 1024, buffer: "Buffer | None" = None) -> bytes | int:
        """Return up to ``n`` bytes, or read them into ``buffer`` and return their number."""
        size = _size(n, buffer)
        if not size:
            return b"" if buffer is None else 0
        try:
            with self._reading:
                return self._read(size, buffer)
        finally:
            if self.tls.unsent or self._wire.has_unsent:
                self._send_answers()

    def write(self, data: "Buffer") -> int:
        """Send ``data`` and return the number of bytes that were sent."""
        self._check_write()
        try:
            return self._writer.write(data, self._seal)
        finally:
            if self.tls.unsent:  # an answer, made by a thread that found the writer busy
                self._send_answers()

    def key_update(self, *, request_peer: bool) -> None:
        """Send a KeyUpdate."""
        self.tls.key_update(request_peer)
        self._send_answers()

    def shutdown(self) -> object:
        """Exchange close_notify and return the socket, which goes on in the clear."""
        until = self._wire.deadline()
        with self._writer.lock:
            self._close()
            self._wire.send(self.tls.data_to_send(), until)
        with self._reading:
            while not self._await_close():
                # No byte behind the record: those that follow close_notify are not for us.
                self._receive(self._take(self.tls.wants, until))
        return self._wire.end()

    def _read(self, size: int, buffer: "Buffer | None") -> bytes | int:
        self._check()
        until = self._wire.deadline()
        tls = self.tls
        while True:
            if not tls.pending() and not tls.closed_by_peer:
                self._receive(self._take(self._room(size), until))
            try:
                return self._open(size, buffer)
            except WantReadError:
                continue
            except ssl.SSLError:
                raise
            except OSError as error:
                self._fail(error)

    def _room(self, size: int) -> int:
        """Return how many bytes to take from the socket for ``size`` bytes of plaintext.

        Never a whole record more than the caller takes: a program that then waits in ``select``
        would not see it. A record is longer than its plaintext, so what is taken, together with the
        beginning of a record that is here already, holds no more than ``size`` bytes.
        """
        return max(self.tls.wants, size + _OVERHEAD - self._border.held)

    def _take(self, n: int, until: Deadline) -> "bytes | memoryview[int]":
        data = self._wire.take_many(n, until)
        self._border.pass_over(data)
        return data

    def _seal(self, data: memoryview) -> bytes:
        try:
            self.tls.write(data)
        except OSError as error:
            raise converted(error) from error
        return self.tls.data_to_send()

    def _send_answers(self) -> None:
        """Send what the reading half has written, unless a writer is about to do it.

        It never waits: a peer that does not read must still be read from.
        """
        lock = self._writer.lock
        never: Deadline = 0.0
        while (self.tls.unsent or self._wire.has_unsent) and lock.acquire(blocking=False):
            try:
                self._wire.send(self.tls.data_to_send(), never)
            except OSError:  # the next write reports it
                return
            finally:
                lock.release()


def _size(n: int, buffer: "Buffer | None") -> int:
    """Return how many bytes to read, by the rules of ``_ssl``."""
    if buffer is None:
        if n < 0:
            msg = "size should not be negative"
            raise ValueError(msg)
        return n
    with memoryview(cast("bytes", buffer)) as view:
        if view.readonly:
            msg = f"read() argument 2 must be a writable buffer, not {type(buffer).__name__}"
            raise TypeError(msg)
        return n if 0 < n <= view.nbytes else view.nbytes
