"""Records that stay with OpenSSL: of connections that cannot be taken over."""

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Any

from ktls_fast.errors import KtlsError, TruncatedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["OpenSSLConnection", "Wire"]

READ_SIZE = 64 << 10
WRITE_SIZE = 256 << 10


class Wire:
    """A socket with the two memory BIOs of an OpenSSL object."""

    def __init__(self, sock: socket.socket) -> None:
        """Create empty BIOs."""
        self.sock = sock
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self._unsent = memoryview(b"")

    @property
    def unsent(self) -> int:
        """The number of bytes that TCP has not accepted."""
        return len(self._unsent) + self.outgoing.pending

    def flush(self) -> None:
        """Send as much as TCP accepts."""
        try:
            while self._refill():
                self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except BlockingIOError:
            pass

    def _refill(self) -> bool:
        if not self._unsent:
            self._unsent = memoryview(self.outgoing.read())
        return bool(self._unsent)

    def fill(self) -> bool:
        """Move bytes from the socket to OpenSSL. Return False at the end of the stream.

        :raises BlockingIOError: none have come.
        """
        data = self.sock.recv(READ_SIZE)
        self.incoming.write(data)
        return bool(data)


class OpenSSLConnection:
    """A non-blocking connection whose records OpenSSL seals and opens."""

    def __init__(self, wire: Wire, sslobject: ssl.SSLObject) -> None:
        """Continue after the handshake of ``sslobject``."""
        self._wire = wire
        self._object = sslobject

    @property
    def unsent(self) -> int:
        """The number of sealed bytes that TCP has not accepted."""
        return self._wire.unsent

    def recv(self, bufsize: int, /) -> bytes:
        """Return up to ``bufsize`` bytes; ``b""`` after the peer's close_notify."""
        return bytes(self._read(bufsize))

    def recv_into(self, buffer: "Buffer", /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 after the peer's close_notify."""
        count: int = self._read(memoryview(buffer).nbytes, buffer)
        return count

    def _read(self, *arguments: Any) -> Any:
        while True:
            try:
                result = self._object.read(*arguments)
                break
            except ssl.SSLZeroReturnError:
                return 0 if arguments[1:] else b""
            except ssl.SSLWantReadError:
                self._fill()
        # The answer to a KeyUpdate.
        self._wire.flush()
        return result

    def _fill(self) -> None:
        self._wire.flush()
        if not self._wire.fill():
            message = "the connection ended without close_notify"
            raise TruncatedError(errno.ECONNRESET, message)

    def send(self, data: "Buffer", /) -> int:
        """Send what was left unsent, then seal some of ``data``; return how many bytes of it."""
        self._wire.flush()
        view = memoryview(data).cast("B")
        if not view:
            return 0
        if self.unsent:
            raise BlockingIOError(errno.EAGAIN, "TCP has no room")
        try:
            sent: int = self._object.write(view[:WRITE_SIZE])
        except ssl.SSLWantReadError:
            raise BlockingIOError(errno.EAGAIN, "OpenSSL must read first") from None
        self._wire.flush()
        return sent

    def pending(self) -> int:
        """Return a number above 0 if a read can do something without bytes of the socket."""
        return self._object.pending() + self._wire.incoming.pending

    def key_update(self, request_peer: bool = False, /) -> None:
        """Refuse: the module ``ssl`` cannot do it.

        :raises KtlsError: EOPNOTSUPP, always.
        """
        raise KtlsError(errno.EOPNOTSUPP, "OpenSSL carries the records of this connection")

    def close_notify(self) -> None:
        """Seal close_notify, and send it as far as TCP accepts it."""
        try:
            self._object.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError as exc:
            if exc.reason != "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
                raise
        self._wire.flush()

    def close(self) -> None:
        """Close the socket."""
        self._wire.sock.close()
