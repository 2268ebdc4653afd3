"""A peer made by hand: TLS 1.3 records on ``cryptography``, which can violate any rule.

It shares no code with the package. What it sends is sealed under correct keys, unless a test
corrupts it. What it receives is opened under the keys of RFC 8446 §7.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.peers.support import DEADLINE

if TYPE_CHECKING:
    import socket

CCS: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
DATA: Final = 23

NOT_REQUESTED: Final = 0
REQUESTED: Final = 1

CLOSE_NOTIFY: Final = b"\x01\x00"

_HEADER: Final = 5
_KEY_UPDATE: Final = 24
_KEY_SIZES: Final = {0x1301: 16, 0x1302: 32, 0x1303: 32}


class ClosedError(Exception):
    """The other side closed the connection between two records."""


def key_update(reply: int) -> bytes:
    """Return a KeyUpdate message (RFC 8446 §4.6.3)."""
    return handshake_message(_KEY_UPDATE, bytes([reply]))


def handshake_message(message_type: int, body: bytes) -> bytes:
    """Return a handshake message with its header (RFC 8446 §4)."""
    return bytes([message_type]) + len(body).to_bytes(3, "big") + body


def ticket(size: int = 32) -> bytes:
    """Return a NewSessionTicket with zeros as ticket (RFC 8446 §4.6.1)."""
    body = struct.pack(">IIB", 7200, 0, 0) + struct.pack(">H", size) + bytes(size) + b"\x00\x00"
    return handshake_message(4, body)


def header(length: int, opaque_type: int = DATA) -> bytes:
    """Return the header of an encrypted record."""
    return struct.pack(">BHH", opaque_type, 0x0303, length)


def hash_of(suite: int) -> hashes.SHA256 | hashes.SHA384:
    """Return the hash of a cipher suite."""
    return hashes.SHA384() if suite == 0x1302 else hashes.SHA256()


def secret_for(suite: int, seed: int) -> bytes:
    """Return a traffic secret for tests, which depends on ``seed``."""
    return bytes((seed + at) & 0xFF for at in range(hash_of(suite).digest_size))


class RecordDirection:
    """One direction of a connection, which seals or opens records under its traffic key."""

    def __init__(self, suite: int, secret: bytes) -> None:
        """Start at generation 0 and record 0."""
        self.suite = suite
        self.generation = 0
        self._install(secret)

    def seal(self, data: bytes, record_type: int = DATA, *, padding: int = 0) -> bytes:
        """Seal a record with ``padding`` zeros after its type."""
        return self.seal_inner(data + bytes([record_type]) + bytes(padding))

    def seal_inner(self, inner: bytes) -> bytes:
        """Seal a record with any inner plaintext, even an invalid one."""
        aad = header(len(inner) + 16)
        return aad + self._aead.encrypt(self._nonce(), inner, aad)

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Open a record; return its content type and plaintext."""
        inner = self._aead.decrypt(self._nonce(), record[_HEADER:], record[:_HEADER])
        content = inner.rstrip(b"\x00")
        return content[-1], content[:-1]

    def rekey(self) -> None:
        """Install the key of the next generation (RFC 8446 §7.2)."""
        self.generation += 1
        self._install(self._expand("traffic upd", len(self._secret)))

    def _install(self, secret: bytes) -> None:
        self._secret = secret
        self._rec_seq = 0
        key = self._expand("key", _KEY_SIZES[self.suite])
        self._aead = ChaCha20Poly1305(key) if self.suite == 0x1303 else AESGCM(key)
        self._iv = int.from_bytes(self._expand("iv", 12), "big")

    def _nonce(self) -> bytes:
        nonce = (self._iv ^ self._rec_seq).to_bytes(12, "big")
        self._rec_seq += 1
        return nonce

    def _expand(self, label: str, length: int) -> bytes:
        full = b"tls13 " + label.encode()
        info = struct.pack(">HB", length, len(full)) + full + b"\x00"
        return HKDFExpand(hash_of(self.suite), length, info).derive(self._secret)


class RawPeer:
    """The far end of a connection, which sends by ``tx`` and receives by ``rx``."""

    def __init__(self, sock: socket.socket, tx: RecordDirection, rx: RecordDirection) -> None:
        """Take over ``sock``."""
        sock.settimeout(DEADLINE)
        self.sock = sock
        self.tx = tx
        self.rx = rx
        self.key_updates: list[int] = []
        """The request byte of each KeyUpdate received."""

    def send(self, data: bytes, record_type: int = DATA, *, padding: int = 0) -> None:
        """Seal and send a record."""
        self.sock.sendall(self.tx.seal(data, record_type, padding=padding))

    def sealed_key_update(self, reply: int) -> bytes:
        """Seal a KeyUpdate, install the next key, and return the record."""
        record = self.tx.seal(key_update(reply), HANDSHAKE)
        self.tx.rekey()
        return record

    def send_key_update(self, reply: int) -> None:
        """Send a KeyUpdate and install the next key for sending."""
        self.sock.sendall(self.sealed_key_update(reply))

    def close_notify(self) -> None:
        """Send close_notify."""
        self.send(CLOSE_NOTIFY, ALERT)

    def receive(self) -> tuple[int, bytes]:
        """Receive and open a record; after a KeyUpdate, install the next key.

        :raises ClosedError: the connection has ended before the record.
        """
        head = self._exactly(_HEADER)
        record_type, data = self.rx.open(head + self._exactly(int.from_bytes(head[3:], "big")))
        if record_type == HANDSHAKE and data[0] == _KEY_UPDATE:
            assert data in (key_update(0), key_update(1)), data
            self.key_updates.append(data[4])
            self.rx.rekey()
        return record_type, data

    def receive_data(self, size: int) -> bytes:
        """Receive ``size`` bytes of application data, and follow KeyUpdates between them."""
        data = bytearray()
        while len(data) < size:
            record_type, piece = self.receive()
            assert record_type in (DATA, HANDSHAKE), (record_type, piece)
            data += piece if record_type == DATA else b""
        return bytes(data)

    def receive_key_update(self) -> int:
        """Receive a KeyUpdate, which must be the next record; return its request byte."""
        record_type, data = self.receive()
        assert (record_type, len(data)) == (HANDSHAKE, 5), (record_type, data)
        return data[4]

    def receive_alert(self) -> tuple[int, int]:
        """Skip data and KeyUpdates up to an alert; return its level and description."""
        while True:
            record_type, data = self.receive()
            if record_type == ALERT:
                level, description = data
                return level, description

    def drain_until_alert(self) -> bytes:
        """Receive application data up to a close_notify, and return it."""
        data = bytearray()
        while True:
            record_type, piece = self.receive()
            if record_type == ALERT:
                assert piece == CLOSE_NOTIFY, piece
                return bytes(data)
            data += piece if record_type == DATA else b""

    def drain(self) -> tuple[bytes, list[tuple[int, int]]]:
        """Receive everything up to FIN; return the application data and the alerts."""
        data, alerts = bytearray(), []
        try:
            while True:
                record_type, piece = self.receive()
                if record_type == ALERT:
                    alerts.append((piece[0], piece[1]))
                elif record_type == DATA:
                    data += piece
        except ClosedError:
            return bytes(data), alerts

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece and not data:
                raise ClosedError
            assert piece, f"FIN after {len(data)} of {size} bytes"
            data += piece
        return bytes(data)
