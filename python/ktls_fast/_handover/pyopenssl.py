"""Taking over connections of pyOpenSSL.

pyOpenSSL has a callback for the key log. The records are counted by OpenSSL's message callback,
which pyOpenSSL does not offer: it is set through the module's own bindings.
"""

import errno
import os
import socket
import weakref
from typing import Any, TypeAlias

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from ktls_fast._core import Connection, TLSObject

from .keylog import HandshakeSecrets, add_line
from .observer import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HandshakeObserver
from .refusals import refuse
from .take_over import (
    HandOverRefusedError,
    TakenKeys,
    note_outcome,
    sealed_again,
    taken_keys,
)

CData: TypeAlias = Any
"""A C value of cffi, which has no types."""

# The pseudo content types of OpenSSL's message callback.
_HEADER, _INNER_TYPE = 0x100, 0x101
_CLIENT_HELLO, _FINISHED, _KEY_UPDATE = 1, 20, 24
_RECORD_OF_HELLO = bytes([HANDSHAKE, 3, 3])
_BIO_SIZE = 1 << 16


class DirectionCounter:
    """The records of one direction under its current key.

    In both directions OpenSSL reports the header of a record before the message in it.
    """

    def __init__(self) -> None:
        """Begin before the handshake."""
        self.rec_seq = 0
        self.epoch = 0
        """0 in the handshake, 1 under the first application traffic secret."""
        self.ended = False
        """Whether the Finished has passed."""
        self.unopened = 0
        """The encrypted records whose header has passed and whose content has not."""

    def count12(self, record_type: int) -> None:
        """Count a record in TLS 1.2: all are encrypted behind the ChangeCipherSpec."""
        if record_type == CHANGE_CIPHER_SPEC:
            self.epoch, self.rec_seq = 1, 0
        else:
            self.rec_seq += 1

    def change_key(self) -> None:
        """Begin to use the next key."""
        self.epoch += 1
        self.rec_seq = 0


class ConnectionWatch:
    """What the callbacks have seen of one connection."""

    def __init__(self) -> None:
        """Begin before the handshake."""
        self.secrets = HandshakeSecrets()
        self.observer = HandshakeObserver(server_side=True)
        self.sent, self.received = DirectionCounter(), DirectionCounter()
        # TLS 1.2 and 1.3 count in different ways, and the first records do not tell which it is.
        self.sent12, self.received12 = DirectionCounter(), DirectionCounter()

    def note(self, *, sent: bool, content_type: int, data: bytes) -> None:
        """Look at what OpenSSL reports."""
        if content_type == _HEADER:
            self._note_header(data[0], sent=sent)
        elif content_type == _INNER_TYPE and not sent:
            self.received.rec_seq += 1
            self.received.unopened -= 1
        elif content_type == HANDSHAKE:
            self._note_message(data, sent=sent)

    def _note_header(self, record_type: int, *, sent: bool) -> None:
        if sent:
            self.sent.rec_seq += record_type == APPLICATION_DATA
            self.sent12.count12(record_type)
        else:
            self.received.unopened += record_type == APPLICATION_DATA
            self.received12.count12(record_type)

    def _note_message(self, message: bytes, *, sent: bool) -> None:
        if message[0] == _CLIENT_HELLO and sent:
            self.observer.server_side = False
        record = _RECORD_OF_HELLO + len(message).to_bytes(2) + message
        self.observer.received(record)
        direction = self.sent if sent else self.received
        direction.ended = direction.ended or message[0] == _FINISHED
        if message[0] in (_FINISHED, _KEY_UPDATE):
            direction.change_key()


_watches: weakref.WeakKeyDictionary[SSL.Connection, ConnectionWatch] = weakref.WeakKeyDictionary()
_prepared: weakref.WeakKeyDictionary[SSL.Context, object] = weakref.WeakKeyDictionary()


def prepare_context(context: SSL.Context) -> None:
    """Set the two callbacks; a key log callback that is set already is called too."""
    if context in _prepared:
        return
    previous = context._keylog_callback

    def log(connection: SSL.Connection, line: bytes) -> None:
        add_line(_watch_of(connection).secrets, line)
        if previous is not None:
            previous(connection._ssl, ffi.new("char[]", line))

    context.set_keylog_callback(log)
    callback = ffi.callback(
        "void (*)(int, int, int, const void *, size_t, SSL *, void *)", _on_message
    )
    lib.SSL_CTX_set_msg_callback(context._context, callback)
    _prepared[context] = callback  # must live as long as the context


def _on_message(
    sent: int, _version: int, kind: int, data: CData, length: int, ssl: CData, _argument: CData
) -> None:
    connection = SSL.Connection._reverse_mapping.get(ssl)
    if connection is not None:
        content = bytes(ffi.buffer(data, length))
        _watch_of(connection).note(sent=bool(sent), content_type=kind, data=content)


def _watch_of(connection: SSL.Connection) -> ConnectionWatch:
    watch = _watches.get(connection)
    if watch is None:
        watch = _watches[connection] = ConnectionWatch()
    return watch


def take_over_connection(
    connection: SSL.Connection, policy: dict[str, Any]
) -> Connection | TLSObject:
    """Take over a connection of pyOpenSSL; see :func:`ktls_fast.from_ssl`."""
    watch = _watches.get(connection)
    if watch is None:
        text = "its context was not prepared: call ktls_fast.prepare before the handshake"
        refuse(errno.EINVAL, text)
    _check_state(connection, watch)
    keys = _keys(connection, watch)
    keys.tls_object(**policy)  # checks everything that can be refused
    if connection._socket is None:
        result: Connection | TLSObject = _without_socket(connection, keys, policy)
    else:
        result = _with_socket(connection, keys, policy)
        connection.close()
    del _watches[connection]
    note_outcome("taken over")
    return result


def _check_state(connection: SSL.Connection, watch: ConnectionWatch) -> None:
    if not (watch.sent.ended and watch.received.ended):
        refuse(errno.EINVAL, "the handshake is not complete")
    if connection.get_shutdown():
        refuse(errno.ENOTCONN, "close_notify was sent or received")
    if watch.received.unopened and _is_tls13(connection):
        text = "OpenSSL has read a part of a record: read the rest of it first"
        refuse(errno.EBUSY, text)


def _is_tls13(connection: SSL.Connection) -> bool:
    return connection.get_protocol_version_name() == "TLSv1.3"


def _keys(connection: SSL.Connection, watch: ConnectionWatch) -> TakenKeys:
    version = connection.get_protocol_version_name()
    try:
        keys = taken_keys(version, watch.observer, watch.secrets)
    except HandOverRefusedError as error:
        refuse(errno.EOPNOTSUPP, f"the connection stays with OpenSSL: {error.reason}")
    if not _is_tls13(connection):
        keys.sent.rec_seq, keys.received.rec_seq = watch.sent12.rec_seq, watch.received12.rec_seq
        return keys
    for direction, counter in ((keys.sent, watch.sent), (keys.received, watch.received)):
        for _ in range(1, counter.epoch):
            assert direction.secret is not None
            direction.secret = direction.secret.next()
        direction.rec_seq = counter.rec_seq
    return keys


def _unread(connection: SSL.Connection, keys: TakenKeys) -> tuple[TakenKeys, bytes]:
    plaintext = b""
    while pending := connection.pending():
        plaintext += connection.recv(pending)
    return sealed_again(keys, plaintext)


def _without_socket(
    connection: SSL.Connection, keys: TakenKeys, policy: dict[str, Any]
) -> TLSObject:
    keys, received = _unread(connection, keys)
    buffer = ffi.new("char[]", _BIO_SIZE)
    while (length := lib.BIO_read(connection._into_ssl, buffer, _BIO_SIZE)) > 0:
        received += bytes(ffi.buffer(buffer, length))
    return keys.tls_object(received, **policy)


def _with_socket(connection: SSL.Connection, keys: TakenKeys, policy: dict[str, Any]) -> Connection:
    with socket.socket(fileno=os.dup(connection.fileno())) as plain:
        plain.settimeout(connection.gettimeout())
        keys, received = _unread(connection, keys)
        return keys.connection(plain, received, **policy)
