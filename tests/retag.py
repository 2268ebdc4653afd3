"""Computation of an AEAD tag for other additional data, by arithmetic of GHASH and Poly1305 only.

The additional data of a published vector is not that of a TLS record. Both kinds of tags are a
polynomial in additional data and ciphertext, plus a mask of key and nonce. So the tag over the
additional data of a record is the vector's tag plus the difference of two polynomials, without
using an AEAD. A tag that is wrong in the vector stays wrong by the same difference.
"""

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

GHASH_REDUCTION = 0xE1 << 120
POLY1305_PRIME = (1 << 130) - 5
POLY1305_CLAMP = 0x0FFFFFFC_0FFFFFFC_0FFFFFFC_0FFFFFFF


@dataclass(frozen=True, slots=True)
class AeadVector:
    """A published case of an AEAD with a 12-byte nonce and a 16-byte tag."""

    name: str
    key: bytes
    nonce: bytes
    aad: bytes
    plaintext: bytes
    ciphertext: bytes
    tag: bytes
    valid: bool


def retag_gcm(vector: AeadVector, aad: bytes) -> bytes:
    """Return the AES-GCM tag of the vector's ciphertext over ``aad`` (SP 800-38D §6.4)."""
    encryptor = Cipher(algorithms.AES(vector.key), modes.ECB()).encryptor()
    h = int.from_bytes(encryptor.update(bytes(16)), "big")
    was, becomes = _ghash(h, vector, vector.aad), _ghash(h, vector, aad)
    return (int.from_bytes(vector.tag, "big") ^ was ^ becomes).to_bytes(16, "big")


def retag_chacha(vector: AeadVector, aad: bytes) -> bytes:
    """Return the ChaCha20-Poly1305 tag of the ciphertext over ``aad`` (RFC 8439 §2.5, §2.8)."""
    stream = Cipher(algorithms.ChaCha20(vector.key, bytes(4) + vector.nonce), mode=None)
    r = int.from_bytes(stream.encryptor().update(bytes(16)), "little") & POLY1305_CLAMP
    was, becomes = _poly1305(r, vector, vector.aad), _poly1305(r, vector, aad)
    tag = int.from_bytes(vector.tag, "little") + becomes - was
    return (tag % (1 << 128)).to_bytes(16, "little")


def _ghash(h: int, vector: AeadVector, aad: bytes) -> int:
    total = 0
    lengths = struct.pack(">QQ", len(aad) * 8, len(vector.ciphertext) * 8)
    for block in _blocks(aad, vector.ciphertext, lengths):
        total = _gf128_times(total ^ int.from_bytes(block, "big"), h)
    return total


def _gf128_times(x: int, y: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            product ^= x
        x = (x >> 1) ^ (GHASH_REDUCTION if x & 1 else 0)
    return product


def _poly1305(r: int, vector: AeadVector, aad: bytes) -> int:
    total = 0
    lengths = struct.pack("<QQ", len(aad), len(vector.ciphertext))
    for block in _blocks(aad, vector.ciphertext, lengths):
        total = (total + int.from_bytes(block + b"\1", "little")) * r % POLY1305_PRIME
    return total


def _blocks(*parts: bytes) -> list[bytes]:
    """Return the blocks of 16 bytes of all parts, each padded with zeros."""
    padded = b"".join(part + bytes(-len(part) % 16) for part in parts)
    return [padded[i : i + 16] for i in range(0, len(padded), 16)]
