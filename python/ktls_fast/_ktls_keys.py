"""The keys of a kernel TLS socket, and what the RFC asks of their owner."""

import functools
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from ._core import CryptoInfo, KtlsSocket, _KtlsKeyState
from ._ktls_calls import option_value, raw_calls, run_all
from ._ktls_sending_keys import KtlsSendingKeys
from .constants import SOL_TLS, TLS_RX, ContentType

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._kernel_socket import KernelSocket
else:
    Buffer = KernelSocket = Any  # for typing.get_type_hints

__all__ = ["KtlsKeys"]

NO_RENEGOTIATION: Final = b"\x01\x64"


class KtlsKeys(KtlsSendingKeys):
    """The traffic secrets of a kernel TLS socket; :meth:`Connection.into_ktls` returns it.

    The socket seals and opens records under the keys that it has. This object has the secrets, and
    does the rest of what RFC 8446 demands: it installs the peer's next key after each KeyUpdate,
    answers requests, changes our key before the limit of the AEAD, passes session tickets to the
    :class:`ClientConfig`, and sends alerts.

    :class:`KtlsConnection` calls everything here that has to be called. A program that uses the
    socket itself

    * receives with ``recvmsg``, passes each whole record that is not application data to
      :meth:`handle_record`, and reports application data by :meth:`note_received`;
    * calls :meth:`prepare_send` before it sends, and :meth:`note_sent` afterwards;
    * if several threads use it, does both inside :meth:`sending`, because the answer to a KeyUpdate
      must not come between.

    After a fork, the process that uses the object first keeps it; the other one gets EBUSY.
    """

    __module__ = "ktls_fast"

    def __init__(
        self,
        sock: "KtlsSocket | KernelSocket",
        state: _KtlsKeyState,
        received: bytes = b"",
        leftover: bytes = b"",
    ) -> None:
        """Create it for a socket; only :meth:`Connection.into_ktls` has a ``state``."""
        super().__init__(sock, state)
        self.leftover: Final = leftover
        """Bytes that were received behind the peer's close_notify; they are not TLS."""
        self._received = received
        self._receiving: Final = threading.RLock()

    @property
    def version(self) -> str:
        """The protocol version: ``"TLSv1.3"`` or ``"TLSv1.2"``."""
        return "TLSv1.3" if self._state.is_tls13 else "TLSv1.2"

    @property
    def tx_generation(self) -> int:
        """The number of key updates of our direction."""
        return self._state.tx_generation

    @property
    def rx_generation(self) -> int:
        """The number of key updates of the peer's direction."""
        return self._state.rx_generation

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer has sent close_notify."""
        return self._state.closed_by_peer

    @property
    def received(self) -> int:
        """The number of bytes that :meth:`take_received` returns."""
        return len(self._received)

    def take_received(self, n: int | None = None) -> bytes:
        """Take up to ``n`` bytes of application data that were received before the hand-over.

        They precede everything that the socket delivers. A socket of the engine delivers them
        itself, unless the peer has sent close_notify.
        """
        with self._receiving:
            data = self._received[:n]
            self._received = self._received[len(data) :]
        return data

    def handle_record(self, record_type: int, data: "Buffer") -> None:
        """Act on a whole record that is not application data.

        After a KeyUpdate the peer's next key is installed when the call returns, and a request is
        answered as soon as the socket accepts it.

        :param record_type: the content type, one of :class:`ContentType`.
        :param data: the whole plaintext of the record, up to 16384 bytes.
        :raises PeerError: EPROTO if the peer broke a rule; it was sent the alert.
        :raises AlertReceivedError: ECONNABORTED if it is a fatal alert.
        """
        with self._receiving:
            self.check_alive()
            try:
                self._state.take_record(record_type, data)
            except OSError as error:
                self.fail(error, self._state.alert)
            self.install_receive_key()
        if self._state.take_renegotiation():
            self._waiting.append((ContentType.ALERT, NO_RENEGOTIATION))
        self.send_owed()

    def note_received(self, nbytes: int) -> None:
        """Report application data that was received.

        KeyUpdates without data between them count as a storm: see ``key_update_limit`` of
        :class:`ServerConfig`.

        :raises PeerError: EPROTO if a handshake message of the peer is not complete.
        """
        self.check_alive()
        try:
            self._state.note_received(nbytes)
        except OSError as error:
            self.fail(error, self._state.alert)

    def install_receive_key(self) -> None:
        """Install the peer's next key, if a call that should have done it was interrupted."""
        with self._receiving:
            info = self._state.next_receive_key
            if info is None:
                if not self._state.is_paused_early:
                    return
                # The first byte was that of a KeyUpdate, but no KeyUpdate ends in the record. The
                # same key with its current number ends the pause.
                info = CryptoInfo.from_bytes(self._live_info(TLS_RX))
            with raw_calls(self.sock) as raw:
                run_all(
                    functools.partial(raw.setsockopt, SOL_TLS, TLS_RX, option_value(raw, info)),
                    self._state.note_receive_key_installed,
                )

    def receiving(self) -> AbstractContextManager[bool]:
        """Return a context in which no other thread receives."""
        return self._receiving
