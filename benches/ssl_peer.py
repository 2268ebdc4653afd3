"""The stdlib's ``ssl`` over ``MemoryBIO``: a TLS 1.3 server whose keys we know.

Python cannot choose the TLS 1.3 suite of an ``SSLContext``, so the handshake is done with a client
that offers only one. Its library also tells the traffic secrets, which let the reference open what
``ssl`` sealed, and let records be sealed for ``ssl`` to open.
"""

from __future__ import annotations

import datetime
import errno
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tlslite.api import HandshakeSettings, TLSConnection

from benches.peers import RecordLayer
from benches.work import OVERHEAD, RECORDS, cut, plaintext, unwire
from tests.reference import (
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    TLS13,
    Cipher,
    TrafficKey,
    hkdf_expand_label,
)

if TYPE_CHECKING:
    from benches.work import Case

# The name of the suite in the client's settings and in OpenSSL, and its hash.
SUITES = {
    AES_GCM_128.name: ("aes128gcm", "TLS_AES_128_GCM_SHA256", "sha256"),
    AES_GCM_256.name: ("aes256gcm", "TLS_AES_256_GCM_SHA384", "sha384"),
    CHACHA20_POLY1305.name: ("chacha20-poly1305", "TLS_CHACHA20_POLY1305_SHA256", "sha256"),
}


class Sealing:
    """``SSLObject.write``, then ``MemoryBIO.read``."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._server = Server(case.cipher)
        self._pieces = cut(plaintext(case.size), case.batch * case.size)
        self._wires: list[bytes] = []
        self._next_seq = 0

    def reset(self) -> None:
        self._next_seq += RECORDS

    def run(self) -> None:
        write, read = self._server.tls.write, self._server.outgoing.read
        wires = []
        for piece in self._pieces:
            write(piece)
            wires.append(read())
        self._wires = wires

    def plaintext(self) -> bytes:
        key = self._server.tx.at(self._next_seq - RECORDS)
        return unwire(key, b"".join(self._wires), self._case.size)


class Opening:
    """``MemoryBIO.write``, then ``SSLObject.read`` into a reused buffer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._server = Server(case.cipher)
        self._client = RecordLayer(self._server.rx)
        self._wire = bytearray(RECORDS * (case.size + OVERHEAD))
        self._out = bytearray(RECORDS * case.size)
        self._jobs = list(
            zip(cut(self._wire, case.size + OVERHEAD), cut(self._out, case.size), strict=True)
        )

    def reset(self) -> None:
        for data, (record, _) in zip(
            cut(plaintext(self._case.size), self._case.size), self._jobs, strict=True
        ):
            self._client.seal_into(data, record)

    def run(self) -> None:
        write, read, size = self._server.incoming.write, self._server.tls.read, self._case.size
        for record, out in self._jobs:
            write(record)
            read(size, out)

    def plaintext(self) -> bytes:
        return bytes(self._out)


class Server:
    """An ``SSLObject`` after its handshake, with the traffic keys of both directions."""

    def __init__(self, cipher: Cipher) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = _context().wrap_bio(self.incoming, self.outgoing, server_side=True)
        client_name, openssl_name, hash_name = SUITES[cipher.name]
        client = self._shake_hands(client_name)
        chosen = self.tls.cipher()
        assert chosen is not None
        assert chosen[0] == openssl_name, f"ssl chose {chosen[0]}, not {openssl_name}"
        self.tx = _traffic_key(cipher, hash_name, bytes(client.session.sr_app_secret))
        self.rx = _traffic_key(cipher, hash_name, bytes(client.session.cl_app_secret))

    def _shake_hands(self, client_name: str) -> TLSConnection:
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        settings.cipherNames = [client_name]
        client = TLSConnection(_BioSocket(self.outgoing, self.incoming))
        for _ in client.handshakeClientCert(settings=settings, async_=True):
            self._accept()
        self._accept()
        return client

    def _accept(self) -> None:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return


class _BioSocket:
    """As much of a non-blocking socket as the client needs."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def send(self, data: bytes) -> int:
        return self._outgoing.write(data)

    sendall = send

    def recv(self, size: int) -> bytes:
        data = self._incoming.read(size)
        if not data:
            raise BlockingIOError(errno.EAGAIN, "nothing to read yet")
        return data


def _traffic_key(cipher: Cipher, hash_name: str, secret: bytes) -> TrafficKey:
    iv = hkdf_expand_label(hash_name, secret, "iv", 12)
    return TrafficKey(
        TLS13,
        cipher,
        key=hkdf_expand_label(hash_name, secret, "key", cipher.key_size),
        iv=iv[cipher.salt_size :],
        salt=iv[: cipher.salt_size],
    )


@cache
def _context() -> ssl.SSLContext:
    """A server with a fresh self-signed certificate and no session tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.write_bytes(_self_signed())
        context.load_cert_chain(pem)
    return context


def _self_signed() -> bytes:
    """Key and certificate for ``localhost`` as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = dated.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
