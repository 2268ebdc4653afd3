"""``SSLObject`` and ``SSLSocket`` with what the engine adds."""

import os
import select
import socket
import ssl
from contextlib import suppress
from typing import NamedTuple

from ktls_fast._handover.engine import EngineCarrier
from ktls_fast._handover.layer import SslLayer, fork_count

from ._clear_bytes import serve_first

_TICKETS = 1 << 16


class Generation(NamedTuple):
    """The number of key updates in each direction."""

    tx: int
    """The key updates of our direction."""
    rx: int
    """The key updates of the peer's direction."""


class _EngineMethods:
    """The methods that both classes have beyond those of the standard library."""

    _sslobj: SslLayer | None

    def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate and change our key (RFC 8446 §4.6.3).

        :param request_peer: request a KeyUpdate from the peer in return.
        :raises ValueError: OpenSSL carries the connection, or its handshake is not done.
        :raises ktls_fast.KtlsError: EOPNOTSUPP in TLS 1.2.
        """
        carrier = self._engine()
        if carrier is None:
            msg = f"the engine does not carry this connection: {self.refusal or 'no handshake yet'}"
            raise ValueError(msg)
        carrier.key_update(request_peer=request_peer)

    @property
    def generation(self) -> Generation | None:
        """The number of key updates in each direction; None if OpenSSL carries the connection."""
        carrier = self._engine()
        if carrier is None:
            return None
        return Generation(carrier.tls.tx_generation, carrier.tls.rx_generation)

    @property
    def refusal(self) -> str | None:
        """The reason why OpenSSL carries the connection.

        It is None if the engine does, and before the end of the handshake.
        """
        return self._sslobj.refusal if isinstance(self._sslobj, SslLayer) else None

    def _engine(self) -> EngineCarrier | None:
        layer = self._sslobj
        carrier = layer.carrier if isinstance(layer, SslLayer) else None
        return carrier if isinstance(carrier, EngineCarrier) else None


class SSLObject(_EngineMethods, ssl.SSLObject):
    """An ``ssl.SSLObject`` whose records the engine carries after the handshake."""


class SSLSocket(_EngineMethods, ssl.SSLSocket):
    """An ``ssl.SSLSocket`` whose records the engine carries after the handshake."""

    def unwrap(self) -> socket.socket:
        """Exchange close_notify, and return the socket, which continues in the clear.

        Clear bytes that were read together with the records are returned by the next calls of
        ``recv`` and ``recv_into``, and counted by ``pending``.
        """
        carrier = self._engine()
        plain = super().unwrap()
        if carrier is not None and (clear := carrier.tls.leftover()):
            serve_first(self, clear)
        return plain

    def _real_close(self) -> None:
        # Session tickets that nobody has read would make TCP reset the connection, and destroy what
        # this end has sent.
        with suppress(OSError):
            if self._has_read_nothing():
                self._discard_received()
        super()._real_close()  # type: ignore[misc]

    def _discard_received(self) -> None:
        """Read what is there, without waiting and without a change to the shared descriptor."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        if poll.poll(0):
            os.read(self.fileno(), _TICKETS)

    def _has_read_nothing(self) -> bool:
        """Whether this client's handshake is done, and no record was read after it.

        After a fork it is not known: another process may read from the connection.
        """
        layer = self._sslobj
        if self.server_side or self.fileno() < 0 or layer is None or layer.carrier is None:
            return False
        if layer.forks != fork_count():
            return False
        engine = self._engine()
        return engine is None or not engine.tls.records_received
