"""OpenSSL on private BIOs: the handshake, and the records that stay with it."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .keylog import HandshakeSecrets, KeyLog
from .observer import HandshakeObserver
from .wires import Deadline, RecordReader, Wire
from .writer import WireWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer

InnerObject: TypeAlias = Any
"""A ``_ssl._SSLSocket``, which has no type in typeshed."""


class RecordCounter(Protocol):
    """Counts the records after a handshake."""

    def count_sent(self, flight: bytes) -> None:
        """Count the records of a flight of ours."""

    def count_received(self, record: bytes) -> None:
        """Count a record of the peer."""


class OpenSslEnd:
    """An OpenSSL object between two private BIOs, and the wire."""

    def __init__(
        self, inner: InnerObject, bios: tuple[ssl.MemoryBIO, ssl.MemoryBIO], wire: Wire
    ) -> None:
        """Move records between the BIOs of ``inner`` and ``wire``."""
        self.inner = inner
        self.incoming, self.outgoing = bios
        self.wire = wire
        self.reader = RecordReader(wire)
        self.counter: RecordCounter | None = None

    def feed(self, until: Deadline) -> None:
        """Pass the next record to OpenSSL, or the end of the wire."""
        record = self.reader.read_record(until)
        if self.counter is not None and record:
            self.counter.count_received(record)
        self.write(record)

    def write(self, record: bytes) -> None:
        """Pass a record to OpenSSL; nothing means that the wire has ended."""
        if record:
            self.incoming.write(record)
        else:
            self.incoming.write_eof()

    def take_written(self) -> bytes:
        """Return what OpenSSL has written, to be sent by the caller."""
        flight = self.outgoing.read()
        if self.counter is not None and flight:
            self.counter.count_sent(flight)
        return flight

    def drain(self, until: Deadline) -> None:
        """Send what OpenSSL has written."""
        if flight := self.take_written():
            self.wire.send(flight, until)

    def drain_alert(self) -> None:
        """Send the alert of a failed call. The error that caused it matters more than its own."""
        with suppress(OSError):
            self.drain(self.wire.deadline())

    def seal(self, data: memoryview) -> bytes:
        """Return the records that OpenSSL makes of ``data``."""
        while True:
            try:
                self.inner.write(data)
            except ssl.SSLWantReadError:  # a renegotiation
                until = self.wire.deadline()
                self.drain(until)
                self.feed(until)
            except BaseException:
                self.drain_alert()
                raise
            else:
                return self.take_written()


class Handshake:
    """A handshake by OpenSSL, with all that a hand-over needs to know afterwards."""

    def __init__(self, end: OpenSslEnd, log: KeyLog | None, *, server_side: bool) -> None:
        """Begin a handshake. Without a log its records stay with OpenSSL."""
        self.end = end
        self.observer = HandshakeObserver(server_side=server_side)
        self.secrets: HandshakeSecrets | None = None
        self.ended = False
        self._log = log

    def advance(self) -> None:
        """Do the handshake as far as possible.

        :raises ssl.SSLWantReadError: bytes of the peer are missing.
        :raises ssl.SSLError: the handshake has failed. The alert was sent.
        """
        until = self.end.wire.deadline()
        self.end.wire.flush(until)
        while not self.ended:
            try:
                self._step()
            except ssl.SSLWantReadError:
                self._exchange(until)
            except BaseException:
                self.end.drain_alert()
                raise
        self._send_last_flight(until)

    def adopt(self, log: KeyLog | None) -> None:
        """Continue with the key log of another context, which an SNI callback has chosen."""
        self._log = log
        if log is not None and self.secrets is not None:
            log.adopt(self.observer.client_random or b"", self.secrets)

    def _send_last_flight(self, until: Deadline) -> None:
        try:
            self.end.drain(until)
        except (BrokenPipeError, ConnectionResetError):
            # Only tickets are lost. A client may close at once, and what it has sent before can
            # still be read. OpenSSL ignores this too.
            if not self.observer.tickets:
                raise

    def _step(self) -> None:
        if self._log is None:
            self.end.inner.do_handshake()
        else:
            log = self._log
            with log:
                self.end.inner.do_handshake()
            if self._log is not log and self._log is not None:
                with self._log:  # reads the lines that went to the new context
                    pass
        self.ended = True
        self.observer.ended(self._sent(self.end.outgoing.read()))
        self.end.reader.give_back(self.end.incoming.read())

    def _exchange(self, until: Deadline) -> None:
        flight = self.end.outgoing.read()
        self.observer.sent(flight)
        self._register()
        if flight:
            self.end.wire.send(flight, until)
        records = self.end.reader.read_flight(until)
        if records:
            self.observer.received(records)
            self._register()
        self.end.write(records)

    def _sent(self, flight: bytes) -> bytes:
        """Put back the last flight, which is sent after it was looked at."""
        self.end.outgoing.write(flight)
        return flight

    def _register(self) -> None:
        random = self.observer.client_random
        if self.secrets is None and random is not None and self._log is not None:
            self.secrets = self._log.register(random)


class OpenSslCarrier:
    """Records that stay with OpenSSL after the handshake."""

    def __init__(self, end: OpenSslEnd) -> None:
        """Carry the records of a finished handshake."""
        self.end = end
        self.pending: Callable[[], int] = end.inner.pending
        self.writer = WireWriter(end.wire)

    def write(self, data: "Buffer") -> int:
        """Write as ``_ssl`` does."""
        return self.writer.write(data, self.end.seal)

    def read(self, n: int = 1024, buffer: "Buffer | None" = None) -> Any:
        """Read as ``_ssl`` does."""
        if buffer is None:
            return self.call(self.end.inner.read, n)
        return self.call(self.end.inner.read, n, buffer)

    def shutdown(self) -> Any:
        """Exchange close_notify as ``_ssl`` does."""
        self.call(self.end.inner.shutdown)
        return self.end.wire.end()

    def do_handshake(self) -> None:
        """Continue: OpenSSL may have been told to authenticate the client once more."""
        self.call(self.end.inner.do_handshake)

    def call(self, method: Callable[..., Any], *arguments: object) -> Any:
        """Call a method of OpenSSL, with the records that it needs."""
        until = self.end.wire.deadline()
        self.end.wire.flush(until)
        while True:
            try:
                result = method(*arguments)
            except ssl.SSLWantReadError:
                self.end.drain(until)
                self.end.feed(until)
            except BaseException:
                self.end.drain_alert()
                raise
            else:
                self.end.drain(until)
                return result
