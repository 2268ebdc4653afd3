"""Clients written in Python: one on the ssl module, one on ``ktls_fast``."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import ktls_fast

from .job import HOST, TransferJob
from .payload import EchoReceiver, RandomPayload

__all__ = ["run_ktls_fast", "run_ssl"]

BUFFER = 64 * 2**10
TIMEOUT = 60.0


def run_ssl(job: TransferJob, payload: RandomPayload, echo: EchoReceiver) -> None:
    """Send and receive by an ``ssl.SSLObject`` in one thread, as two may not use it at once."""
    context = ssl.create_default_context(cafile=job.ca_file)
    with socket.create_connection((HOST, job.port), TIMEOUT) as sock:
        tls = _MemoryTls(sock, context, job.server_name)
        tls.wait_for(tls.object.do_handshake)
        tls.object.write(job.head)
        sock.setblocking(False)
        _exchange(tls, payload, echo)
        sock.settimeout(TIMEOUT)
        tls.wait_for(tls.object.unwrap)


class _MemoryTls:
    """A TLS connection whose records pass through memory on their way to and from a socket.

    An ``ssl.SSLSocket`` that sends without blocking sometimes fails with BAD_LENGTH: OpenSSL cannot
    answer a KeyUpdate if another one arrives during the same unfinished write. A write to memory is
    never unfinished.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        """Prepare the connection for the handshake."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._sock = sock
        self._unsent = memoryview(b"")

    @property
    def busy(self) -> bool:
        """Whether there are sealed records that have not been sent."""
        return bool(self._unsent) or self._outgoing.pending > 0

    def wait_for(self, step: Callable[[], object]) -> None:
        """Repeat ``step``, which needs data of the peer, until it succeeds; the socket blocks."""
        while self._needs_more_data(step):
            self._sock.sendall(self._outgoing.read())
            self._receive_records()
        self._sock.sendall(self._outgoing.read())

    def send(self) -> bool:
        """Send as much as the socket accepts; return True if anything was sent."""
        self._unsent = self._unsent or memoryview(self._outgoing.read())
        try:
            sent = self._sock.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            return False
        self._unsent = self._unsent[sent:]
        return sent > 0

    def receive(self, buffer: memoryview, echo: EchoReceiver) -> bool:
        """Open the records that have arrived; return True if any data was read."""
        try:
            self._receive_records()
        except BlockingIOError:
            return False
        while not echo.done and not self._needs_more_data(lambda: self._read(buffer, echo)):
            pass
        return True

    def _read(self, buffer: memoryview, echo: EchoReceiver) -> None:
        count = self.object.read(BUFFER, buffer)
        assert isinstance(count, int)  # with a buffer it always is
        echo.feed(buffer[:count])

    def wait(self) -> None:
        """Wait until the socket is readable or, if there are records to send, writable.

        :raises TimeoutError: it took longer than ``TIMEOUT``.
        """
        writing = [self._sock] if self.busy else []
        readable, writable, _ = select.select([self._sock], writing, [], TIMEOUT)
        if not readable and not writable:
            msg = f"nothing could be sent or received for {TIMEOUT:g} s"
            raise TimeoutError(msg)

    def _receive_records(self) -> None:
        if data := self._sock.recv(BUFFER):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    @staticmethod
    def _needs_more_data(step: Callable[[], object]) -> bool:
        try:
            step()
        except ssl.SSLWantReadError:
            return True
        return False


def _exchange(tls: _MemoryTls, payload: RandomPayload, echo: EchoReceiver) -> None:
    pieces = iter(payload)
    buffer = memoryview(bytearray(BUFFER))
    while not echo.done:
        if not tls.busy and (piece := next(pieces, None)):
            tls.object.write(piece)
        sent = tls.send()
        if not tls.receive(buffer, echo) and not sent:
            tls.wait()


def run_ktls_fast(job: TransferJob, payload: RandomPayload, echo: EchoReceiver) -> None:
    """Send and receive by a ``ktls_fast.Connection``, with a thread for each direction."""
    config = ktls_fast.ClientConfig(
        Path(job.ca_file).read_bytes(), rekey_bytes=job.rekey_every, rekey_interval=0
    )
    with ktls_fast.connect(
        (HOST, job.port), config, server_name=job.server_name, timeout=TIMEOUT
    ) as connection:
        writer = threading.Thread(target=_write_all, args=(connection, job, payload), daemon=True)
        writer.start()
        buffer = memoryview(bytearray(BUFFER))
        while not echo.done:
            echo.feed(buffer[: connection.recv_into(buffer)])
        writer.join()


def _write_all(connection: ktls_fast.Connection, job: TransferJob, payload: RandomPayload) -> None:
    connection.sendall(job.head)
    for piece in payload:
        connection.sendall(piece)
