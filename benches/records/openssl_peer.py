"""pyOpenSSL without sockets: a client whose records a server opens, both in memory.

The client seals, since session tickets use sequence numbers of the other direction only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL

from benches.records.suites import SUITES, traffic_key
from benches.records.work import OVERHEAD, cut, unwire
from ktls_fast._tools import certs

if TYPE_CHECKING:
    from benches.records.work import RecordJob
    from tests.reference import Cipher, TrafficKey

MORE = 1 << 16
SECRET = b"CLIENT_TRAFFIC_SECRET_0"


class PyOpenSslSealing:
    """``Connection.send``, then ``Connection.bio_read``."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._pair = PyOpenSslPair(job.cipher)
        self._wires: list[bytes] = []
        self._room = job.size + OVERHEAD
        self._next_seq = 0

    def reset(self) -> None:
        self._next_seq += self._job.records

    def run(self) -> None:
        send, read, room = self._pair.client.send, self._pair.client.bio_read, self._room
        wires = []
        for piece in self._job.pieces():
            send(piece)
            wires.append(read(room))
        self._wires = wires

    def plaintext(self) -> bytes:
        key = self._pair.key.at(self._next_seq - self._job.records)
        return unwire(key, b"".join(self._wires), self._job.size)


class PyOpenSslOpening:
    """``Connection.bio_write``, then ``Connection.recv_into`` a reused buffer."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._pair = PyOpenSslPair(job.cipher)
        self._records: list[bytes] = []
        self._out = bytearray(job.records * job.size)
        self._outs = cut(self._out, job.size)

    def reset(self) -> None:
        client, room = self._pair.client, self._job.size + OVERHEAD
        self._records.clear()
        for piece in self._job.pieces():
            client.send(piece)
            self._records.append(client.bio_read(room))

    def run(self) -> None:
        write, recv_into = self._pair.server.bio_write, self._pair.server.recv_into
        for record, out in zip(self._records, self._outs, strict=True):
            write(record)
            recv_into(out)

    def plaintext(self) -> bytes:
        return bytes(self._out)


class PyOpenSslPair:
    """Two connections after their handshake, and the client's traffic key."""

    def __init__(self, cipher: Cipher) -> None:
        self._secrets: dict[bytes, bytes] = {}
        self.server = SSL.Connection(self._context(cipher))
        self.server.set_accept_state()
        self.client = SSL.Connection(self._context(cipher))
        self.client.set_connect_state()
        self._shake_hands()
        self.key: TrafficKey = traffic_key(cipher, self._secrets[SECRET])

    def _context(self, cipher: Cipher) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_tls13_ciphersuites(SUITES[cipher.name].openssl.encode())
        context.set_keylog_callback(self._keep_secret)
        cert, key = certs.self_signed()
        private_key = load_pem_private_key(key, None)
        assert isinstance(private_key, EllipticCurvePrivateKey)
        context.use_certificate(load_pem_x509_certificate(cert))
        context.use_privatekey(private_key)
        return context

    def _keep_secret(self, _: SSL.Connection, line: bytes) -> None:
        label, _client_random, secret = line.split()
        self._secrets[label] = bytes.fromhex(secret.decode())

    def _shake_hands(self) -> None:
        """Perform the handshake, and read the session tickets."""
        ends = (self.client, self.server)
        for here, there in (ends, ends[::-1]) * 2:
            _go_on(here)
            there.bio_write(here.bio_read(MORE))
        _drop_tickets(self.client)


def _go_on(connection: SSL.Connection) -> None:
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return


def _drop_tickets(client: SSL.Connection) -> None:
    try:
        client.recv(1)
    except SSL.WantReadError:
        return
