"""A complete record layer written in Python on ``cryptography``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.records.aead import AEADS
from benches.records.work import OVERHEAD, cut, unwire
from tests.reference import APPLICATION_DATA, HEADER_SIZE, TAG_SIZE

if TYPE_CHECKING:
    from benches.records.work import RecordJob
    from tests.reference import TrafficKey


class RecordLayer:
    """A TLS 1.3 record layer: header, nonce, inner plaintext, tag (RFC 8446 §5.2, §5.3)."""

    def __init__(self, key: TrafficKey) -> None:
        self._aead = AEADS[key.cipher.name](key.key)
        self._iv = int.from_bytes(key.salt + key.iv, "big")
        self._seq = key.rec_seq

    def seal_into(self, data: memoryview, out: memoryview) -> int:
        """Seal a record of application data, and return its length."""
        header = b"\x17\x03\x03" + (len(data) + 1 + TAG_SIZE).to_bytes(2, "big")
        out[:HEADER_SIZE] = header
        inner = b"".join((data, b"\x17"))
        return HEADER_SIZE + self._aead.encrypt_into(
            self._next_nonce(), inner, header, out[HEADER_SIZE:]
        )

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """Open a record of application data, and return the length of the plaintext."""
        header = bytes(record[:HEADER_SIZE])
        size = self._aead.decrypt_into(self._next_nonce(), record[HEADER_SIZE:], header, out)
        while not out[size - 1]:
            size -= 1
        if out[size - 1] != APPLICATION_DATA:
            msg = f"content type {out[size - 1]} is not application data"
            raise ValueError(msg)
        return size - 1

    def _next_nonce(self) -> bytes:
        nonce = (self._iv ^ self._seq).to_bytes(12, "big")
        self._seq += 1
        return nonce


class PythonSealing:
    """Seals records into a reused buffer."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._wire = bytearray(job.records * (job.size + OVERHEAD))
        outs = cut(self._wire, job.size + OVERHEAD)
        self._calls = list(zip(job.pieces(), outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._layer = RecordLayer(self._job.key)

    def run(self) -> None:
        seal_into = self._layer.seal_into
        for data, out in self._calls:
            seal_into(data, out)

    def plaintext(self) -> bytes:
        return unwire(self._job.key, bytes(self._wire), self._job.size)


class PythonOpening:
    """Opens records into a reused buffer."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        records = cut(job.wire, job.size + OVERHEAD)
        outs = cut(bytearray(job.records * (job.size + 1)), job.size + 1)
        self._calls = list(zip(records, outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._layer = RecordLayer(self._job.key)

    def run(self) -> None:
        open_into = self._layer.open_into
        for record, out in self._calls:
            open_into(record, out)

    def plaintext(self) -> bytes:
        return b"".join(out[:-1] for _, out in self._calls)
