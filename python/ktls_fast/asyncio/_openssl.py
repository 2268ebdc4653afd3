"""Handshakes by OpenSSL, and the hand-over of their connections."""

import socket
import ssl
from typing import TYPE_CHECKING, Any

from ktls_fast._handover.layer import SslLayer, layer_over_bios
from ktls_fast._handover.prepared import PreparedCarrier, TakenOverCarrier
from ktls_fast._handover.ssl_errors import converted
from ktls_fast._handover.take_over import note_outcome

from ._borrowed import borrow_back
from ._openssl_records import OpenSSLConnection, Wire

if TYPE_CHECKING:
    from ktls_fast import Connection

    from ._records import RecordConnection

__all__ = ["OpenSSLHandshake"]


class OpenSSLHandshake:
    """A handshake by the OpenSSL object of a context, over a non-blocking socket."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None,
    ) -> None:
        """Take over the socket."""
        self._wire = Wire(sock)
        self.fd = sock.fileno()
        self.sock = sock
        self.sslcontext = context
        self.wants_write = False
        self._is_complete = False
        self._object = prepared_object(
            context, self._wire, server_side, None if server_side else server_hostname or None
        )

    def advance(self) -> "RecordConnection | None":
        """Do what can be done now; return the connection once the handshake is complete."""
        try:
            while not self._is_complete:
                self._step()
        except BlockingIOError:
            self.wants_write = self._wire.unsent > 0
            return None
        # The engine sends on the socket itself, so what OpenSSL has written goes first.
        self._wire.flush()
        if self._wire.unsent:
            self.wants_write = True
            return None
        return take_over(self._wire, self._object) or OpenSSLConnection(self._wire, self._object)

    def _step(self) -> None:
        try:
            self._object.do_handshake()
            self._is_complete = True
        except ssl.SSLWantReadError:
            self._wire.flush()
            if not self._wire.fill():
                raise ConnectionResetError from None
        except ssl.SSLError:
            self._wire.flush()  # the alert
            raise

    def info(self, name: str) -> Any:
        """Return what OpenSSL has agreed on, or None before the handshake is complete."""
        if not self._is_complete:
            return None
        if name == "ssl_object":
            return self._object
        if name == "peercert":
            return self._object.getpeercert()
        return getattr(self._object, name)() if name in ("cipher", "compression") else None

    def shown_error(self, exc: BaseException) -> BaseException:
        """Return what the module ``ssl`` would raise for an error of the engine."""
        return converted(exc) if isinstance(exc, OSError) else exc

    def close(self) -> None:
        """Close the socket."""
        self._wire.sock.close()


class PreparedContext:
    """A context whose SSL objects can be taken over after the handshake."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Stand for ``context`` while an object is created."""
        self._context = context

    def _wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: Any
    ) -> SslLayer:
        return layer_over_bios(self._context, incoming, outgoing, False, **options)


def prepared_object(
    context: Any, wire: Wire, server_side: bool, server_hostname: str | None
) -> ssl.SSLObject:
    """Return an SSL object between the BIOs of ``wire``."""
    bios = wire.incoming, wire.outgoing
    made: ssl.SSLObject
    if isinstance(context, ssl.SSLContext):
        private: Any = context
        made = private.sslobject_class._create(
            *bios,
            server_side=server_side,
            server_hostname=private._encode_hostname(server_hostname),
            context=PreparedContext(context),
        )
    else:  # as for asyncio, anything with this method
        made = context.wrap_bio(*bios, server_side=server_side, server_hostname=server_hostname)
    return made


def take_over(wire: Wire, sslobject: ssl.SSLObject) -> "Connection | None":
    """Return the engine's connection over the socket of ``wire``, or None if OpenSSL keeps it."""
    layer: Any = sslobject._sslobj  # type: ignore[attr-defined]
    carrier = layer.carrier if isinstance(layer, SslLayer) else None
    if not isinstance(carrier, PreparedCarrier):
        return None
    received = wire.incoming.read()
    fd = wire.sock.fileno()
    try:
        connection = carrier.keys.connection(wire.sock, carrier.end.reader.take_part() + received)
    except OSError as exc:
        wire.incoming.write(received)
        note_outcome(str(exc))
        return None
    borrow_back(wire.sock, fd)
    layer.install(TakenOverCarrier(carrier.end))
    note_outcome("taken over")
    return connection
