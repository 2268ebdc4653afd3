"""TLS connections whose records a kernel TLS socket carries."""

import errno
import select
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ._ktls_keys import KtlsKeys
from .constants import SOL_TLS, TLS_GET_RECORD_TYPE, ContentType
from .errors import BadRecordError, RecordTooLargeError, TruncatedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._core import KtlsSocket
    from ._kernel_socket import KernelSocket
else:
    Buffer = KernelSocket = KtlsSocket = Any  # for typing.get_type_hints

__all__ = ["KtlsConnection"]

RECORD: Final = 16384
LEAST: Final = 512
"""The least to receive at once, so that KeyUpdates and alerts come in one piece."""

CONTROL_ROOM: Final = 64
SLICE: Final = 1 << 18
"""The most bytes to send in one call, so that an answer to the peer does not wait for long."""

MSG_EOR: Final = 0x80
BAD_RECORD_MAC: Final = 20
RECORD_OVERFLOW: Final = 22


class KtlsConnection:
    """A TLS connection over a kernel TLS socket, which follows all KeyUpdates.

    Create it with ``KtlsConnection(*conn.into_ktls())``. The socket is the engine's or that of the
    kernel; the calls are the same. One thread may receive while another one sends. Timeouts,
    :meth:`fileno` and everything else are those of the socket, :attr:`sock`.
    """

    __module__ = "ktls_fast"

    def __init__(self, sock: "KtlsSocket | KernelSocket", keys: KtlsKeys) -> None:
        """Take over what :meth:`Connection.into_ktls` has returned.

        :raises ValueError: ``keys`` belongs to another socket.
        """
        if keys.sock is not sock:
            msg = "the keys belong to another socket"
            raise ValueError(msg)
        self.sock: Final = sock
        """The socket. Receive and send with the methods of this class only."""
        self.keys: Final = keys
        """The keys of the socket."""
        self._surplus = b""

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return up to ``bufsize`` bytes of application data; ``b""`` after close_notify.

        KeyUpdates of the peer are followed and answered.

        :param flags: must be 0.
        :raises TruncatedError: ECONNRESET: the peer sent FIN without close_notify.
        :raises PeerError: EPROTO: the peer broke a rule; it was sent an alert.
        :raises BadRecordError: EBADMSG: a record is not valid; the peer was sent an alert.
        :raises RecordTooLargeError: EMSGSIZE: the same for a record that is too long.
        :raises AlertReceivedError: ECONNABORTED: the peer sent a fatal alert.
        """
        _check_flags(flags)
        if bufsize < 0:
            msg = f"bufsize is {bufsize}; it must not be negative"
            raise ValueError(msg)
        with self.keys.receiving():
            if bufsize and not self._surplus:
                self._surplus = self._receive(bufsize)
            data = self._surplus[:bufsize]
            self._surplus = self._surplus[len(data) :]
        return data

    def recv_into(self, buffer: "Buffer", nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer`` and return the number of bytes; see :meth:`recv`.

        :param nbytes: the maximum number of bytes; 0 means the size of the buffer.
        """
        _check_flags(flags)
        view = memoryview(buffer).cast("B")
        if not 0 <= nbytes <= view.nbytes:
            msg = f"nbytes is {nbytes}; the buffer has {view.nbytes} bytes"
            raise ValueError(msg)
        view = view[: nbytes or view.nbytes]
        with self.keys.receiving():
            if view.nbytes >= LEAST and not self._surplus:
                return self._receive_into(view)
            data = self.recv(view.nbytes)
        view[: len(data)] = data
        return len(data)

    def send(self, data: "Buffer", flags: int = 0) -> int:
        """Send application data and return the number of bytes that were accepted.

        A KeyUpdate that is due is sent before.

        :param flags: must be 0.
        :raises BrokenPipeError: EPIPE after :meth:`close_notify`.
        """
        _check_flags(flags)
        with self.keys.sending():
            room = min(self.keys.prepare_send(), SLICE)
            sent = self.sock.send(memoryview(data).cast("B")[:room])
            self.keys.note_sent(sent)
        return sent

    def sendall(self, data: "Buffer", flags: int = 0) -> None:
        """Send all of ``data``; the timeout of the socket applies to the whole call.

        If it fails, it is unknown how many bytes were sent.
        """
        rest, timeout = memoryview(data).cast("B"), self.sock.gettimeout()
        end = None if not timeout else time.monotonic() + timeout
        while rest.nbytes:
            rest = rest[self.send(rest, flags) :]
            if end is not None and rest.nbytes and time.monotonic() >= end:
                msg = "timed out"
                raise TimeoutError(msg)

    def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate and install our next key; see :meth:`Connection.key_update`."""
        self.keys.key_update(request_peer)

    def close_notify(self) -> None:
        """Tell the peer that no more data will be sent; reading continues."""
        self.keys.close_notify()

    def pending(self) -> int:
        """Return the number of bytes that :meth:`recv` returns without asking the socket."""
        return len(self._surplus) + self.keys.received

    def poll(self, events: int, timeout: float | None = None) -> int:
        """Wait for ``events``; return those that occurred; see :meth:`KtlsSocket.poll`."""
        if events & select.POLLIN and self.pending():
            return self.sock.poll(events, 0) | select.POLLIN
        return self.sock.poll(events, timeout)

    def fileno(self) -> int:
        """Return the descriptor of the socket; -1 after :meth:`close`."""
        return self.sock.fileno()

    def settimeout(self, value: float | None) -> None:
        """Set the timeout of blocking calls in seconds; None waits forever, 0 never waits."""
        self.sock.settimeout(value)

    def gettimeout(self) -> float | None:
        """Return the timeout in seconds, or None."""
        return self.sock.gettimeout()

    def close(self) -> None:
        """Send close_notify if the socket accepts it at once, and close the socket.

        As with every socket, closing with unread bytes resets the connection. Use
        :meth:`close_notify` and receive up to the end before, if the peer must get everything.
        """
        if self.sock.fileno() >= 0:
            self.keys.close_notify_now()
            self.sock.close()

    def __enter__(self) -> Self:
        """Return ``self``."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Call :meth:`close`; after an exception, close without close_notify."""
        if exc_type is None:
            self.close()
        else:
            self.sock.close()

    def __repr__(self) -> str:
        """Return the descriptor, the backend and the version."""
        version = self.keys.version
        return f"<KtlsConnection fd={self.fileno()} backend={self.sock.backend} {version}>"

    def _receive(self, size: int) -> bytes:
        """Receive the next data: at least one byte, perhaps more than ``size``; b"" at the end."""
        while not self._is_at_end():
            if data := self.keys.take_received(size):
                return data
            message = self._call(lambda: self.sock.recvmsg(max(size, LEAST), CONTROL_ROOM))
            if (data := message[0]) and self._is_data(data, message):
                return bytes(data)
            if not data:
                self._is_data(b"", message)
        return b""

    def _receive_into(self, view: memoryview) -> int:
        """Receive the next data into ``view``; return 0 at the end."""
        while not self._is_at_end():
            if data := self.keys.take_received(view.nbytes):
                view[: len(data)] = data
                return len(data)
            message = self._call(lambda: self.sock.recvmsg_into([view], CONTROL_ROOM))
            part = view[: message[0]]
            if self._is_data(part, message) and part.nbytes:
                return part.nbytes
        return 0

    def _is_at_end(self) -> bool:
        """Return True if no more data will come. Do before what has to precede a receive."""
        keys = self.keys
        if not keys.received:
            keys.check_alive()
            if keys.closed_by_peer:
                return True
            keys.install_receive_key()
            keys.send_owed()
            if keys.owes_answer and self.sock.gettimeout() != 0:
                # The peer does not read. When it does, it waits for the answer.
                self.sock.poll(select.POLLIN | select.POLLOUT, self.sock.gettimeout())
                keys.send_owed()
        return False

    def _call(self, receive: Any) -> Any:  # noqa: ANN401 - recvmsg or recvmsg_into
        """Receive a message; after a record that is not valid, send the alert of the RFC."""
        try:
            return receive()
        except BadRecordError as error:
            self.keys.fail(error, BAD_RECORD_MAC)
        except RecordTooLargeError as error:
            self.keys.fail(error, RECORD_OVERFLOW)

    def _is_data(self, part: "bytes | memoryview", message: Any) -> bool:  # noqa: ANN401
        """Return True if ``part``, which was received, is application data; act on it otherwise."""
        _, ancillary, flags, _ = message
        record_type = _record_type(ancillary)
        if record_type is None:
            msg = "the connection ended without close_notify"
            raise TruncatedError(errno.ECONNRESET, msg)
        if record_type == ContentType.APPLICATION_DATA:
            self.keys.note_received(len(part))
            return True
        record = bytes(part)
        if isinstance(part, memoryview):
            part[:] = bytes(len(record))  # a ticket must not stay in the buffer of the caller
        while not flags & MSG_EOR and record:
            more, _, flags, _ = self._call(lambda: self.sock.recvmsg(RECORD, CONTROL_ROOM))
            record += more
        self.keys.handle_record(record_type, record)
        return False


def _record_type(ancillary: "list[tuple[int, int, bytes]]") -> int | None:
    """Return the content type among control messages, or None at the end of the stream."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_TLS, TLS_GET_RECORD_TYPE):
            return data[0]
    return None


def _check_flags(flags: int) -> None:
    if flags:
        msg = f"flags {flags:#x}: a TLS connection has none"
        raise OSError(errno.EOPNOTSUPP, msg)
