"""``ssl`` of the standard library on ``MemoryBIO``: a TLS 1.3 server with known keys.

Python cannot set the TLS 1.3 cipher suite of an ``SSLContext``, so the client of the handshake
offers only one. The client's library also exposes the traffic secrets. With these the reference
opens what ``ssl`` has sealed, and seals records for ``ssl`` to open.
"""

from __future__ import annotations

import errno
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tlslite.api import HandshakeSettings, TLSConnection

from benches.records.by_hand import RecordLayer
from benches.records.suites import SUITES, traffic_key
from benches.records.work import OVERHEAD, cut, unwire
from ktls_fast._tools import certs

if TYPE_CHECKING:
    from benches.records.work import RecordJob
    from tests.reference import Cipher


class SslSealing:
    """``SSLObject.write``, then ``MemoryBIO.read``."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._server = SslServer(job.cipher)
        self._pieces = cut(job.data, job.batch * job.size)
        self._wires: list[bytes] = []
        self._next_seq = 0

    def reset(self) -> None:
        self._next_seq += self._job.records

    def run(self) -> None:
        write, read = self._server.tls.write, self._server.outgoing.read
        wires = []
        for piece in self._pieces:
            write(piece)
            wires.append(read())
        self._wires = wires

    def plaintext(self) -> bytes:
        key = self._server.tx.at(self._next_seq - self._job.records)
        return unwire(key, b"".join(self._wires), self._job.size)


class SslOpening:
    """``MemoryBIO.write``, then ``SSLObject.read`` into a reused buffer."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._server = SslServer(job.cipher)
        self._client = RecordLayer(self._server.rx)
        self._wire = bytearray(job.records * (job.size + OVERHEAD))
        self._out = bytearray(job.records * job.size)
        records = cut(self._wire, job.size + OVERHEAD)
        self._calls = list(zip(records, cut(self._out, job.size), strict=True))

    def reset(self) -> None:
        for data, (record, _) in zip(self._job.pieces(), self._calls, strict=True):
            self._client.seal_into(data, record)

    def run(self) -> None:
        write, read, size = self._server.incoming.write, self._server.tls.read, self._job.size
        for record, out in self._calls:
            write(record)
            read(size, out)

    def plaintext(self) -> bytes:
        return bytes(self._out)


class SslServer:
    """An ``SSLObject`` after its handshake, with the traffic keys of both directions."""

    def __init__(self, cipher: Cipher) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = _context().wrap_bio(self.incoming, self.outgoing, server_side=True)
        suite = SUITES[cipher.name]
        client = self._shake_hands(suite.tlslite)
        chosen = self.tls.cipher()
        assert chosen is not None
        assert chosen[0] == suite.openssl, f"ssl chose {chosen[0]}, not {suite.openssl}"
        self.tx = traffic_key(cipher, bytes(client.session.sr_app_secret))
        self.rx = traffic_key(cipher, bytes(client.session.cl_app_secret))

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
    """The methods of a non-blocking socket that the client needs."""

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


@cache
def _context() -> ssl.SSLContext:
    """Return a server context with a new self-signed certificate and no session tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.write_bytes(b"".join(certs.self_signed()))
        context.load_cert_chain(pem)
    return context
