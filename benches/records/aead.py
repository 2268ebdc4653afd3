"""``cryptography``: the AEAD only, with nonces and headers computed before; and memcpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from benches.records.work import OVERHEAD, cut, unwire
from tests.reference import AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305, HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.records.work import RecordJob


class BufferAead(Protocol):
    """The methods of the AEAD classes of ``cryptography`` that write into a given buffer."""

    def encrypt_into(
        self, nonce: bytes, data: bytes, associated_data: bytes, buf: memoryview
    ) -> int:
        """Write ciphertext and tag into ``buf``."""

    def decrypt_into(
        self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview
    ) -> int:
        """Write the plaintext into ``buf``."""


AEADS: dict[str, Callable[[bytes], BufferAead]] = {
    AES_GCM_128.name: AESGCM,
    AES_GCM_256.name: AESGCM,
    CHACHA20_POLY1305.name: ChaCha20Poly1305,
}


class AeadSealing:
    """Calls of ``encrypt_into`` only."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._wire = bytearray(job.wire)
        self._aead = AEADS[job.cipher.name](job.key.key)
        records = cut(self._wire, job.size + OVERHEAD)
        self._calls = [
            (nonce, b"".join((data, b"\x17")), bytes(record[:HEADER_SIZE]), record[HEADER_SIZE:])
            for nonce, data, record in zip(job.nonces(), job.pieces(), records, strict=True)
        ]
        for _, _, _, out in self._calls:
            out[:] = bytes(len(out))

    def reset(self) -> None:
        pass

    def run(self) -> None:
        encrypt_into = self._aead.encrypt_into
        for nonce, inner, header, out in self._calls:
            encrypt_into(nonce, inner, header, out)

    def plaintext(self) -> bytes:
        return unwire(self._job.key, bytes(self._wire), self._job.size)


class AeadOpening:
    """Calls of ``decrypt_into`` only."""

    def __init__(self, job: RecordJob) -> None:
        self._aead = AEADS[job.cipher.name](job.key.key)
        records = cut(job.wire, job.size + OVERHEAD)
        outs = cut(bytearray(job.records * (job.size + 1)), job.size + 1)
        self._calls = [
            (nonce, record[HEADER_SIZE:], bytes(record[:HEADER_SIZE]), out)
            for nonce, record, out in zip(job.nonces(), records, outs, strict=True)
        ]

    def reset(self) -> None:
        pass

    def run(self) -> None:
        decrypt_into = self._aead.decrypt_into
        for nonce, sealed, header, out in self._calls:
            decrypt_into(nonce, sealed, header, out)

    def plaintext(self) -> bytes:
        return b"".join(out[:-1] for *_, out in self._calls)


class MemoryCopy:
    """Slice assignments between two buffers, which copy the data without protection."""

    def __init__(self, job: RecordJob) -> None:
        self._out = bytearray(job.records * job.size)
        self._calls = list(zip(job.pieces(), cut(self._out, job.size), strict=True))

    def reset(self) -> None:
        pass

    def run(self) -> None:
        for piece, out in self._calls:
            out[:] = piece

    def plaintext(self) -> bytes:
        return bytes(self._out)
