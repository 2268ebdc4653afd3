"""``prepare`` and ``from_ssl``: taking over connections of other TLS libraries."""

import errno
import os
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any, overload

from ktls_fast._core import Connection, TLSObject
from ktls_fast._lazy import LazyModule

from .engine import EngineCarrier
from .layer import SslLayer, is_hooked, layer_over_bios, layer_over_socket
from .prepared import PreparedCarrier, TakenOverCarrier
from .refusals import refuse
from .take_over import TakenKeys, note_outcome, sealed_again
from .wires import BioWire

if TYPE_CHECKING:
    from OpenSSL import SSL
else:
    SSL = LazyModule("OpenSSL.SSL")


def prepare(context: "ssl.SSLContext | SSL.Context") -> None:
    """Let :func:`from_ssl` take over the connections that ``context`` creates from now on.

    Their secrets are kept in memory, and their records are counted. Nothing else changes before
    :func:`from_ssl`. A context of :mod:`ktls_fast.ssl` needs no preparation.

    :param context: an ``ssl.SSLContext``, or an ``OpenSSL.SSL.Context`` of pyOpenSSL.
    """
    if isinstance(context, ssl.SSLContext):
        if not is_hooked(context):
            _hook(context)
    elif _is_pyopenssl(context, "Context"):
        from .pyopenssl import prepare_context

        prepare_context(context)
    else:
        msg = f"expected an ssl.SSLContext or an OpenSSL.SSL.Context, not {context!r}"
        raise TypeError(msg)


def _hook(context: ssl.SSLContext) -> None:
    names = vars(context)

    def wrap_bio(
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        **options: Any,
    ) -> SslLayer:
        options.update(server_side=server_side, server_hostname=server_hostname)
        return layer_over_bios(context, incoming, outgoing, False, **options)

    def wrap_socket(
        sock: socket.socket,
        server_side: bool = False,
        server_hostname: str | None = None,
        **options: Any,
    ) -> SslLayer:
        options.update(server_side=server_side, server_hostname=server_hostname)
        return layer_over_socket(context, sock, False, **options)

    names.update(_wrap_bio=wrap_bio, _wrap_socket=wrap_socket, _ktls_hooked=True)


@overload
def from_ssl(connection: ssl.SSLSocket, **policy: Any) -> Connection: ...
@overload
def from_ssl(connection: ssl.SSLObject, **policy: Any) -> TLSObject: ...
@overload
def from_ssl(connection: "SSL.Connection", **policy: Any) -> Connection | TLSObject: ...


def from_ssl(connection: Any, **policy: Any) -> Connection | TLSObject:
    """Take over a connection whose handshake another TLS library has performed.

    Data that was received and not read yet is carried over. Nothing is lost if the call fails: the
    connection can then be used as before.

    An ``SSLSocket`` or a pyOpenSSL connection with a socket is closed without a message to the
    peer, and its socket belongs to the result. Of an ``SSLObject``, the bytes in its incoming BIO
    are taken; those in its outgoing BIO must be sent before those of the result.

    :param connection: an ``ssl.SSLSocket`` or ``ssl.SSLObject``, or an ``OpenSSL.SSL.Connection``.
        :func:`prepare` must have been called with its context before the handshake.
    :param policy: the policy keywords of :meth:`Connection.from_secrets`.
    :raises KtlsError: EINVAL if the context was not prepared or the handshake is not complete;
        EBUSY if a write must be repeated first; ENOTCONN after close_notify; EOPNOTSUPP with the
        reason if the connection must stay with its library.
    :raises TypeError: ``connection`` is of another type.
    """
    if _is_pyopenssl(connection, "Connection"):
        from .pyopenssl import take_over_connection

        return take_over_connection(connection, policy)
    if not isinstance(connection, (ssl.SSLSocket, ssl.SSLObject)):
        msg = f"expected an SSLSocket, an SSLObject or a pyOpenSSL connection, not {connection!r}"
        raise TypeError(msg)
    layer = _layer_of(connection)
    carrier = _prepared_of(layer)
    _check_state(carrier)
    # Everything that can be refused is checked here, with keys but without data.
    carrier.keys.tls_object(**policy)
    result = _taken(connection, carrier, policy)
    layer.install(TakenOverCarrier(carrier.end))
    if isinstance(connection, ssl.SSLSocket):
        connection.close()
    note_outcome("taken over")
    return result


def _is_pyopenssl(value: object, name: str) -> bool:
    """Return whether ``value`` is an instance of a class of pyOpenSSL, without importing it."""
    module = sys.modules.get("OpenSSL.SSL")
    return module is not None and isinstance(value, getattr(module, name))


def _layer_of(connection: ssl.SSLSocket | ssl.SSLObject) -> SslLayer:
    layer = connection._sslobj  # type: ignore[union-attr]
    if layer is None:
        refuse(errno.EINVAL, "the socket is not connected, or it is closed")
    if not isinstance(layer, SslLayer):
        text = "its context was not prepared: call ktls_fast.prepare before the handshake"
        refuse(errno.EINVAL, text)
    return layer


def _prepared_of(layer: SslLayer) -> PreparedCarrier:
    carrier = layer.carrier
    if isinstance(carrier, PreparedCarrier):
        return carrier
    if carrier is None:
        refuse(errno.EINVAL, "the handshake is not complete")
    if isinstance(carrier, (EngineCarrier, TakenOverCarrier)):
        refuse(errno.EINVAL, "the engine carries this connection already")
    refuse(errno.EOPNOTSUPP, f"the connection stays with OpenSSL: {layer.refusal}")


def _check_state(carrier: PreparedCarrier) -> None:
    if carrier.ended:
        refuse(errno.ENOTCONN, "close_notify was sent or received")
    if carrier.writer.is_refused or carrier.end.wire.has_unsent:
        refuse(errno.EBUSY, "the last write must be repeated until its bytes are sent")


def _taken(
    connection: ssl.SSLSocket | ssl.SSLObject, carrier: PreparedCarrier, policy: dict[str, Any]
) -> Connection | TLSObject:
    wire = carrier.end.wire
    if isinstance(wire, BioWire):
        keys, received = _unread(carrier)
        return keys.tls_object(received + wire.incoming.read(), **policy)
    assert isinstance(connection, ssl.SSLSocket)
    # A descriptor of its own, so that the SSLSocket stays usable if anything fails.
    with socket.socket(fileno=os.dup(connection.fileno())) as plain:
        plain.settimeout(connection.gettimeout())
        keys, received = _unread(carrier)
        return keys.connection(plain, received, **policy)


def _unread(carrier: PreparedCarrier) -> tuple[TakenKeys, bytes]:
    """Return the keys, and the records that were received and not read."""
    plaintext = b""
    while pending := carrier.end.inner.pending():
        plaintext += carrier.end.inner.read(pending)
    part = carrier.end.reader.take_part()
    keys, record = sealed_again(carrier.keys, plaintext)
    return keys, record + part
