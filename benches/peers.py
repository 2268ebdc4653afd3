"""What a Python program can do today with ``cryptography``, and the ceiling that memory sets.

* ``cryptography``: the AEAD alone, nonces and headers made before the clock starts;
* ``python-record``: a whole record layer as one would write it by hand over that AEAD;
* ``memcpy``: the same bytes moved, not protected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from benches.work import OVERHEAD, RECORDS, cut, plaintext, unwire, wire
from tests.reference import (
    AES_GCM_128,
    AES_GCM_256,
    APPLICATION_DATA,
    CHACHA20_POLY1305,
    HEADER_SIZE,
    TAG_SIZE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.work import Case
    from tests.reference import TrafficKey


class IntoAead(Protocol):
    """The AEAD classes of ``cryptography``, writing into a buffer of the caller."""

    def encrypt_into(
        self, nonce: bytes, data: bytes, associated_data: bytes, buf: memoryview
    ) -> int:
        """Write ciphertext and tag into ``buf``."""

    def decrypt_into(
        self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview
    ) -> int:
        """Write the plaintext into ``buf``."""


AEADS: dict[str, Callable[[bytes], IntoAead]] = {
    AES_GCM_128.name: AESGCM,
    AES_GCM_256.name: AESGCM,
    CHACHA20_POLY1305.name: ChaCha20Poly1305,
}


class RecordLayer:
    """A TLS 1.3 record layer by hand: header, nonce, inner plaintext, tag (RFC 8446 §5.2, §5.3)."""

    def __init__(self, key: TrafficKey) -> None:
        self._aead = AEADS[key.cipher.name](key.key)
        self._iv = int.from_bytes(key.salt + key.iv, "big")
        self._seq = key.rec_seq

    def seal_into(self, data: memoryview, out: memoryview) -> int:
        """Seal one record of application data; returns its length."""
        header = b"\x17\x03\x03" + (len(data) + 1 + TAG_SIZE).to_bytes(2, "big")
        out[:HEADER_SIZE] = header
        inner = b"".join((data, b"\x17"))
        return HEADER_SIZE + self._aead.encrypt_into(
            self._next_nonce(), inner, header, out[HEADER_SIZE:]
        )

    def open_into(self, record: memoryview, out: memoryview) -> int:
        """Open one record of application data; returns the length of the plaintext."""
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


class RecordSealing:
    """The record layer by hand, sealing into a reused buffer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._wire = bytearray(RECORDS * (case.size + OVERHEAD))
        outs = cut(self._wire, case.size + OVERHEAD)
        self._jobs = list(zip(cut(plaintext(case.size), case.size), outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._layer = RecordLayer(self._case.key)

    def run(self) -> None:
        seal_into = self._layer.seal_into
        for data, out in self._jobs:
            seal_into(data, out)

    def plaintext(self) -> bytes:
        return unwire(self._case.key, bytes(self._wire), self._case.size)


class RecordOpening:
    """The record layer by hand, opening into a reused buffer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        records = cut(wire(case.key, case.size), case.size + OVERHEAD)
        outs = cut(bytearray(RECORDS * (case.size + 1)), case.size + 1)
        self._jobs = list(zip(records, outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._layer = RecordLayer(self._case.key)

    def run(self) -> None:
        open_into = self._layer.open_into
        for record, out in self._jobs:
            open_into(record, out)

    def plaintext(self) -> bytes:
        return b"".join(out[:-1] for _, out in self._jobs)


class AeadSealing:
    """``encrypt_into`` alone."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._wire = bytearray(wire(case.key, case.size))
        self._aead = AEADS[case.cipher.name](case.key.key)
        self._jobs = [
            (nonce, b"".join((data, b"\x17")), bytes(record[:HEADER_SIZE]), record[HEADER_SIZE:])
            for nonce, data, record in zip(
                nonces(case.key),
                cut(plaintext(case.size), case.size),
                cut(self._wire, case.size + OVERHEAD),
                strict=True,
            )
        ]
        for _, _, _, out in self._jobs:
            out[:] = bytes(len(out))

    def reset(self) -> None:
        pass

    def run(self) -> None:
        encrypt_into = self._aead.encrypt_into
        for nonce, inner, header, out in self._jobs:
            encrypt_into(nonce, inner, header, out)

    def plaintext(self) -> bytes:
        return unwire(self._case.key, bytes(self._wire), self._case.size)


class AeadOpening:
    """``decrypt_into`` alone."""

    def __init__(self, case: Case) -> None:
        self._aead = AEADS[case.cipher.name](case.key.key)
        self._jobs = [
            (nonce, record[HEADER_SIZE:], bytes(record[:HEADER_SIZE]), out)
            for nonce, record, out in zip(
                nonces(case.key),
                cut(wire(case.key, case.size), case.size + OVERHEAD),
                cut(bytearray(RECORDS * (case.size + 1)), case.size + 1),
                strict=True,
            )
        ]

    def reset(self) -> None:
        pass

    def run(self) -> None:
        decrypt_into = self._aead.decrypt_into
        for nonce, sealed, header, out in self._jobs:
            decrypt_into(nonce, sealed, header, out)

    def plaintext(self) -> bytes:
        return b"".join(out[:-1] for *_, out in self._jobs)


class Copying:
    """Slice assignment between two buffers."""

    def __init__(self, case: Case) -> None:
        self._out = bytearray(RECORDS * case.size)
        pieces = cut(plaintext(case.size), case.size)
        self._jobs = list(zip(pieces, cut(self._out, case.size), strict=True))

    def reset(self) -> None:
        pass

    def run(self) -> None:
        for piece, out in self._jobs:
            out[:] = piece

    def plaintext(self) -> bytes:
        return bytes(self._out)


def nonces(key: TrafficKey) -> list[bytes]:
    """The per-record nonces of a round."""
    iv = int.from_bytes(key.salt + key.iv, "big")
    return [(iv ^ seq).to_bytes(12, "big") for seq in range(RECORDS)]
