"""The object in the place of ``_ssl._SSLSocket``, below ``SSLObject`` and ``SSLSocket``.

OpenSSL does the handshake on private BIOs. Then the *carrier* is chosen, once: the engine, or
OpenSSL where a hand-over is not possible. Its methods become those of this object, so that a call
goes to it directly.
"""

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from .engine import BioEngine, EngineCarrier, SocketEngine
from .keylog import key_log_of
from .openssl import Handshake, InnerObject, OpenSslCarrier, OpenSslEnd
from .prepared import PreparedCarrier
from .ssl_errors import ssl_error
from .take_over import HandOverRefusedError, Reason, TakenKeys, note_outcome, taken_keys
from .tickets import TicketReader
from .wires import BioWire, SocketWire

if TYPE_CHECKING:
    from typing_extensions import Buffer

Carrier = EngineCarrier | OpenSslCarrier


_forks = 0


def fork_count() -> int:
    """Return how often this process, and those that it was forked from, have forked so far."""
    return _forks


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(before=_count_fork)


class SslLayer:
    """The low-level object of one connection.

    Attributes that are not defined here are those of OpenSSL's object.
    """

    def __init__(self, inner: InnerObject, handshake: Handshake, *, automatic: bool) -> None:
        """Begin before the handshake.

        :param automatic: hand over to the engine as soon as the handshake is done. Otherwise
            :func:`ktls_fast.from_ssl` does it later.
        """
        self._inner = inner
        self._handshake: Handshake | None = handshake
        self._automatic = automatic
        self.carrier: Carrier | None = None
        self.refusal: str | None = None
        self.forks = fork_count()
        """The forks of the process before this connection."""

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of OpenSSL's object."""
        return getattr(self._inner, name)

    def do_handshake(self) -> None:
        """Do the handshake, and choose the carrier at its end."""
        handshake = self._handshake
        if handshake is None:
            return
        handshake.advance()
        self._handshake = None
        self.install(self._choose(handshake))

    # The following four are replaced by the carrier's, which has another signature each.

    def read(self, n: int = 1024, buffer: "Buffer | None" = None) -> Any:
        """Do the handshake first."""
        self.do_handshake()
        return self.read(n) if buffer is None else self.read(n, buffer)

    def write(self, data: "Buffer") -> Any:
        """Do the handshake first."""
        self.do_handshake()
        return self.write(data)

    def pending(self) -> int:
        """Return 0: nothing can be read during the handshake."""
        return 0

    def shutdown(self) -> Any:
        """Let OpenSSL raise its error: the handshake is not done."""
        return self._inner.shutdown()

    def verify_client_post_handshake(self) -> None:
        """Let OpenSSL request a certificate, if it carries the connection.

        :raises ssl.SSLError: the engine does. A context with ``post_handshake_auth`` prevents this.
        """
        possible = self._inner.server_side and self._inner.version() == "TLSv1.3"
        if possible and isinstance(self.carrier, EngineCarrier):
            reason = "EXTENSION_NOT_RECEIVED"
            raise ssl_error(reason, "ktls_fast: the context has no post_handshake_auth")
        self._inner.verify_client_post_handshake()

    @property
    def context(self) -> ssl.SSLContext:
        """The context in use."""
        context: ssl.SSLContext = self._inner.context
        return context

    @context.setter
    def context(self, context: ssl.SSLContext) -> None:
        # Called by SNI callbacks. OpenSSL logs the secrets to the new context from now on.
        if self._handshake is not None:
            self._handshake.adopt(key_log_of(context) if is_hooked(context) else None)
        self._inner.context = context

    @property
    def session(self) -> Any:
        """The session of a client."""
        return self._inner.session

    @session.setter
    def session(self, session: object) -> None:
        self._inner.session = session

    def _choose(self, handshake: Handshake) -> Carrier:
        try:
            keys = self._keys(handshake)
        except HandOverRefusedError as refusal:
            self.refusal = refusal.reason
            note_outcome(refusal.reason)
            return OpenSslCarrier(handshake.end)
        if not self._automatic:
            return PreparedCarrier(handshake.end, keys)
        note_outcome("taken over")
        return engine_on(handshake.end, keys, self._inner)

    def _keys(self, handshake: Handshake) -> TakenKeys:
        context = self._inner.context
        if context.post_handshake_auth and not _has_no_answer(context, self._inner.server_side):
            raise HandOverRefusedError(Reason.POST_HANDSHAKE_AUTHENTICATION)
        if context._msg_callback is not None:
            raise HandOverRefusedError(Reason.MESSAGE_CALLBACK)
        if self._inner.compression() is not None:
            raise HandOverRefusedError(Reason.COMPRESSION)
        return taken_keys(self._inner.version(), handshake.observer, handshake.secrets)

    def install(self, carrier: Carrier) -> None:
        """Let ``carrier`` carry the records from now on."""
        self.carrier = carrier
        for name in ("read", "write", "pending", "shutdown", "do_handshake"):
            setattr(self, name, getattr(carrier, name))


def engine_on(end: OpenSslEnd, keys: TakenKeys, inner: InnerObject) -> EngineCarrier:
    """Return the engine on the wire of ``end``."""
    tls = keys.tls_object(end.reader.take_part())
    tickets = None if keys.server_side or keys.tls12 is not None else TicketReader(end)
    if isinstance(end.wire, BioWire):
        return BioEngine(tls, end.wire, tickets)
    assert isinstance(end.wire, SocketWire)
    return SocketEngine(tls, end.wire, tickets)


def is_hooked(context: ssl.SSLContext) -> bool:
    """Return whether connections of ``context`` come with this layer."""
    return getattr(context, "_ktls_hooked", False)


def layer_over_bios(
    context: ssl.SSLContext,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    automatic: bool,
    **options: Any,
) -> SslLayer:
    """Return what ``SSLContext._wrap_bio`` returns, with this layer."""
    return _layer(context, BioWire(incoming, outgoing), automatic, options)


def layer_over_socket(
    context: ssl.SSLContext,
    sock: socket.socket,
    automatic: bool,
    **options: Any,
) -> SslLayer:
    """Return what ``SSLContext._wrap_socket`` returns, with this layer."""
    return _layer(context, SocketWire(sock), automatic, options)


def _layer(
    context: ssl.SSLContext,
    wire: BioWire | SocketWire,
    automatic: bool,
    options: dict[str, Any],
) -> SslLayer:
    bios = ssl.MemoryBIO(), ssl.MemoryBIO()
    log = key_log_of(context)
    # The method of the C class: that of ``context`` may be the caller of this function.
    wrap = vars(ssl.SSLContext.__base__)["_wrap_bio"]
    offered = context.post_handshake_auth
    if offered and _has_no_answer(context, options["server_side"]):
        context.post_handshake_auth = False
    try:
        inner = wrap(context, *bios, **options)
    finally:
        if offered:
            context.post_handshake_auth = True
    end = OpenSslEnd(inner, bios, wire)
    return SslLayer(
        inner, Handshake(end, log, server_side=options["server_side"]), automatic=automatic
    )


def _has_no_answer(context: ssl.SSLContext, server_side: bool) -> bool:
    """Return whether a client could only refuse post-handshake authentication.

    It is not offered then, as the engine cannot refuse it: urllib3 sets ``post_handshake_auth`` in
    the contexts of all clients, and hardly any of them has a certificate.
    """
    return not server_side and not getattr(context, "_ktls_has_certificate", True)
