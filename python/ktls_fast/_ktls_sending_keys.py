"""The sending direction of a kernel TLS socket: what the RFC asks of the owner of its keys."""

import errno
import functools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ._core import CryptoInfo, KtlsSocket, _KtlsKeyState
from ._ktls_calls import control_record, option_value, raw_calls, run_all
from .constants import SOL_TLS, TLS_TX, ContentType
from .errors import KtlsError, WantWriteError

if TYPE_CHECKING:
    from ._kernel_socket import KernelSocket
else:
    KernelSocket = Any  # for typing.get_type_hints

__all__ = ["KtlsSendingKeys"]

CLOSE_NOTIFY: Final = b"\x01\x00"
FATAL: Final = 2

CALLS_PER_CHECK: Final = 4096
"""How many sends pass until the socket is asked for its record number.

Sends are counted as full records. A socket with a small ``TLS_TX_MAX_PAYLOAD_LEN`` makes more.
"""


class KtlsSendingKeys:
    """The sending half of :class:`KtlsKeys`."""

    def __init__(self, sock: "KtlsSocket | KernelSocket", state: _KtlsKeyState) -> None:
        """Create it for a socket."""
        self.sock: Final = sock
        """The socket."""
        self._state: Final = state
        self._sending: Final = threading.RLock()
        self._waiting: list[tuple[int, bytes]] = []
        self._error: OSError | None = None
        self._calls = 0

    def check_alive(self) -> None:
        """Raise the error that has ended the connection, if one has."""
        if self._error is not None:
            raise self._error

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Return a context in which no other thread sends, not even the answer to a KeyUpdate."""
        try:
            with self._sending:
                yield
        finally:
            # A reader has left its answer to us while it could not have the lock.
            self.send_owed()

    def prepare_send(self) -> int:
        """Send what has to precede application data; return how many bytes of it may be sent.

        That is the answer to a KeyUpdate, or a KeyUpdate of our own because of the limit of the key
        or of ``rekey_bytes``. The call waits for room like a send.

        :returns: the number of bytes until the next call is needed. It is above 0.
        :raises KeyLimitError: EKEYEXPIRED if the key of a TLS 1.2 connection is used up.
        :raises BrokenPipeError: EPIPE after close_notify.
        """
        with self._sending:
            self.check_alive()
            self._finish_key_update()
            due, room = self._state.send_limits()
            if (due and not self._state.owes_update) or self._calls >= CALLS_PER_CHECK:
                self._read_number()
                due, room = self._state.send_limits()
            if due:
                self._wait_until_sent(lambda: self._send_key_update(None))
                _, room = self._state.send_limits()
            return room

    def note_sent(self, nbytes: int) -> None:
        """Report application data that one call of the socket has taken."""
        self._calls += 1 + nbytes // 16384
        self._state.note_sent(nbytes)

    def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate and install our next key; see :meth:`Connection.key_update`.

        :raises KtlsError: EOPNOTSUPP in TLS 1.2.
        :raises BrokenPipeError: EPIPE after close_notify.
        """
        if not self._state.is_tls13:
            raise KtlsError(errno.EOPNOTSUPP, "TLS 1.2 has no key updates")
        with self._sending:
            self.check_alive()
            self._finish_key_update()
            self._wait_until_sent(lambda: self._send_key_update(request_peer))

    def close_notify(self) -> None:
        """Tell the peer that no more data will be sent; reading continues. It is sent once."""
        with self._sending:
            self.check_alive()
            self._finish_key_update()
            if not self._state.has_ended_sending:
                self._wait_until_sent(self._send_close_notify)

    def close_notify_now(self) -> None:
        """Send close_notify if that needs no wait and sending has not ended."""
        if self._error is None and self._sending.acquire(blocking=False):
            try:
                if not self._state.has_ended_sending:
                    self._finish_key_update()
                    self._send_close_notify()
            except OSError:
                self._state.end_sending()
            finally:
                self._sending.release()

    @property
    def owes_answer(self) -> bool:
        """Whether something waits to be sent that the peer has caused."""
        return bool(self._waiting) or self._state.owes_update

    def send_owed(self) -> None:
        """Send what the peer has caused, such as answers to KeyUpdates, as far as possible now.

        The call never waits. An error only ends sending: data can still be received.
        """
        while self.owes_answer and self._sending.acquire(blocking=False):
            try:
                self._send_owed_now()
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
                self._state.end_sending()
            finally:
                self._sending.release()

    def fail(self, error: OSError, alert: int | None) -> NoReturn:
        """End the connection because of ``error``, which is raised again; send ``alert`` before.

        Every further call raises it as well.
        """
        if self._error is None:
            self._error = error
            if alert is not None:
                # A record that does not open leaves its error to the next send as well.
                with suppress(OSError):
                    self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self._waiting = [(ContentType.ALERT, bytes([FATAL, alert]))]
                self.send_owed()
            else:
                self._state.end_sending()
        raise self._error

    def _send_owed_now(self) -> None:
        self._finish_key_update()
        while self._waiting:
            if not self._state.has_ended_sending:
                self._send_record(*self._waiting[0])
            del self._waiting[0]
        if self._error is not None:
            self._state.end_sending()
        elif self._state.owes_update:
            self._send_key_update(None)

    def _send_key_update(self, request_peer: bool | None) -> None:
        """Send a KeyUpdate and install the next key, without waiting."""
        state = self._state
        message, info = state.prepare_key_update(request_peer)
        with raw_calls(self.sock) as raw:
            run_all(
                functools.partial(raw.sendmsg, *control_record(ContentType.HANDSHAKE, message)),
                state.note_key_update_sealed,
                functools.partial(raw.setsockopt, SOL_TLS, TLS_TX, option_value(raw, info)),
                state.note_send_key_installed,
            )
        self._calls = 0

    def _finish_key_update(self) -> None:
        """Install the next key if a call has failed between the KeyUpdate and the key."""
        if not self._state.is_key_update_sealed:
            return
        _, info = self._state.prepare_key_update(None)
        with raw_calls(self.sock) as raw:
            run_all(
                functools.partial(raw.setsockopt, SOL_TLS, TLS_TX, option_value(raw, info)),
                self._state.note_send_key_installed,
            )

    def _send_close_notify(self) -> None:
        with raw_calls(self.sock) as raw:
            run_all(
                functools.partial(raw.sendmsg, *control_record(ContentType.ALERT, CLOSE_NOTIFY)),
                self._state.note_close_notify,
            )

    def _send_record(self, record_type: int, data: bytes) -> None:
        with raw_calls(self.sock) as raw:
            raw.sendmsg(*control_record(record_type, data))

    def _wait_until_sent(self, send: Callable[[], None]) -> None:
        """Call ``send`` until the socket has room, up to the timeout."""
        timeout = self.sock.gettimeout()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return send()
            except BlockingIOError as error:
                left = None if end is None else max(end - time.monotonic(), 0.0)
                if timeout == 0:
                    raise WantWriteError(error.errno, "TCP accepts no more bytes now") from None
                if not self.sock.poll(select.POLLOUT, left):
                    msg = "timed out"
                    raise TimeoutError(msg) from None

    def _read_number(self) -> None:
        """Ask the socket for the number of the next record that it sends."""
        self._calls = 0
        # A kernel that hides the number leaves us with our own count, which is never too low for
        # full records.
        with suppress(OSError):
            number = CryptoInfo.from_bytes(self._live_info(TLS_TX)).rec_seq
            self._state.set_send_number(number)

    def _live_info(self, direction: int) -> bytes:
        info = self.sock.getsockopt(SOL_TLS, direction, self._state.info_len)
        return bytes(info) if isinstance(info, bytes) else b""
