"""A simple reference of the TLS record layer on ``cryptography``, which results are compared with.

It imports nothing of ``ktls_fast``. It is slow on purpose: it handles one record at a time, copies
all data, and follows the RFCs and the kernel's rules literally (``docs/kernel-rules.md``, S1.2,
S2.1 and S3.2). It is tested itself by ``test_vectors_rfc8448.py``, ``test_vectors_aead.py`` and
``test_ciphers.py``.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from tests.aeads import AriaGcm, Sm4Ccm, Sm4Gcm

TLS12 = 0x0303
TLS13 = 0x0304
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
HEADER_SIZE = 5
TAG_SIZE = 16
MAX_PLAINTEXT = 16384
SEQ_MODULUS = 1 << 64


class Aead(Protocol):
    """The methods of the AEAD classes of ``cryptography``."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the ciphertext and the tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext, or raise ``InvalidTag``."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """An entry of the kernel's table of ciphers (docs/kernel-rules.md, S1.2-2)."""

    name: str
    cipher_type: int
    iv_size: int
    key_size: int
    salt_size: int
    versions: tuple[int, ...]
    aead: Callable[[bytes], Aead]

    @property
    def struct_size(self) -> int:
        """The size of the kernel's struct."""
        return 4 + self.iv_size + self.key_size + self.salt_size + 8


BOTH = (TLS12, TLS13)
AES_GCM_128 = Cipher("AES_GCM_128", 51, 8, 16, 4, BOTH, AESGCM)
AES_GCM_256 = Cipher("AES_GCM_256", 52, 8, 32, 4, BOTH, AESGCM)
AES_CCM_128 = Cipher("AES_CCM_128", 53, 8, 16, 4, BOTH, AESCCM)
CHACHA20_POLY1305 = Cipher("CHACHA20_POLY1305", 54, 12, 32, 0, BOTH, ChaCha20Poly1305)
SM4_GCM = Cipher("SM4_GCM", 55, 8, 16, 4, BOTH, Sm4Gcm)
SM4_CCM = Cipher("SM4_CCM", 56, 8, 16, 4, BOTH, Sm4Ccm)
ARIA_GCM_128 = Cipher("ARIA_GCM_128", 57, 8, 16, 4, (TLS12,), AriaGcm)
ARIA_GCM_256 = Cipher("ARIA_GCM_256", 58, 8, 32, 4, (TLS12,), AriaGcm)

CIPHERS = [
    AES_GCM_128,
    AES_GCM_256,
    AES_CCM_128,
    CHACHA20_POLY1305,
    SM4_GCM,
    SM4_CCM,
    ARIA_GCM_128,
    ARIA_GCM_256,
]


@dataclass(frozen=True, slots=True)
class TrafficKey:
    """A traffic key and the number of its first record, as fields of the kernel's struct."""

    version: int
    cipher: Cipher
    key: bytes
    iv: bytes
    salt: bytes
    rec_seq: int = 0

    @property
    def explicit_size(self) -> int:
        """The number of nonce bytes in a TLS 1.2 record: 8, except for ChaCha20-Poly1305."""
        return 8 if self.version == TLS12 and self.salt else 0

    @property
    def tail(self) -> int:
        """The size of the content type at the end of a TLSInnerPlaintext."""
        return 1 if self.version == TLS13 else 0

    @property
    def overhead(self) -> int:
        """The bytes that a record adds to its plaintext (docs/kernel-rules.md, S2.1-1)."""
        return HEADER_SIZE + self.explicit_size + self.tail + TAG_SIZE

    @property
    def length_limit(self) -> int:
        """The largest length field that the kernel accepts (docs/kernel-rules.md, S3.1-1)."""
        return MAX_PLAINTEXT + self.overhead - HEADER_SIZE

    def struct(self) -> bytes:
        """Return the kernel's struct of the key (docs/kernel-rules.md, S1.2-1)."""
        head = struct.pack("=HH", self.version, self.cipher.cipher_type)
        return head + self.iv + self.key + self.salt + struct.pack(">Q", self.rec_seq)

    def at(self, rec_seq: int) -> Self:
        """Return this key with another number of the first record."""
        return replace(self, rec_seq=rec_seq)

    def seal(self, data: bytes, record_type: int = 23, *, nth: int = 0, padding: int = 0) -> bytes:
        """Seal the ``nth`` record under this key, in TLS 1.3 with ``padding`` zeros."""
        inner = data
        if self.version == TLS13:
            inner = data + bytes([record_type]) + bytes(padding)
        return self.seal_inner(inner, record_type, nth=nth)

    def seal_inner(self, inner: bytes, record_type: int = 23, *, nth: int = 0) -> bytes:
        """Seal a record with this inner plaintext, which may be malformed."""
        explicit = self._explicit(nth)
        outer = APPLICATION_DATA if self.version == TLS13 else record_type
        body = explicit + self.cipher.aead(self.key).encrypt(
            self._nonce(nth, explicit), inner, self.aad(nth, outer, len(inner))
        )
        return bytes([outer, 3, 3]) + struct.pack(">H", len(body)) + body

    def open(self, record: bytes, *, nth: int = 0) -> tuple[int, bytes]:
        """Open the ``nth`` record; return its type and plaintext, or raise ``InvalidTag``."""
        explicit = record[HEADER_SIZE : HEADER_SIZE + self.explicit_size]
        sealed = record[HEADER_SIZE + self.explicit_size :]
        aad = self.aad(nth, record[0], len(sealed) - TAG_SIZE)
        inner = self.cipher.aead(self.key).decrypt(self._nonce(nth, explicit), sealed, aad)
        if self.version == TLS12:
            return record[0], inner
        stripped = inner.rstrip(b"\0")
        return stripped[-1], stripped[:-1]

    def aad(self, nth: int, record_type: int, inner_size: int) -> bytes:
        """Return the additional data of a record (RFC 5246 §6.2.3.3 and RFC 8446 §5.2)."""
        if self.version == TLS13:
            return struct.pack(">BHH", APPLICATION_DATA, TLS12, inner_size + TAG_SIZE)
        return struct.pack(">QBHH", self._seq(nth), record_type, TLS12, inner_size)

    def _seq(self, nth: int) -> int:
        return (self.rec_seq + nth) % SEQ_MODULUS

    def _explicit(self, nth: int) -> bytes:
        """Return the explicit nonce, which starts at the iv (docs/kernel-rules.md, S2.1-3)."""
        if not self.explicit_size:
            return b""
        return struct.pack(">Q", (int.from_bytes(self.iv, "big") + nth) % SEQ_MODULUS)

    def _nonce(self, nth: int, explicit: bytes) -> bytes:
        if self.explicit_size:
            return self.salt + explicit
        static = int.from_bytes(self.salt + self.iv, "big")
        return (static ^ self._seq(nth)).to_bytes(12, "big")


def traffic_key(version: int, cipher: Cipher, seed: int = 0) -> TrafficKey:
    """Return a key derived from a hash: different for all arguments, equal in all runs."""
    stream = hashlib.sha512(f"{version} {cipher.name} {seed}".encode()).digest()
    return TrafficKey(
        version,
        cipher,
        key=stream[: cipher.key_size],
        iv=stream[32 : 32 + cipher.iv_size],
        salt=stream[48 : 48 + cipher.salt_size],
    )


_PERIOD = bytes((i * 7 + i // 251) & 255 for i in range(251 * 256))


def pattern(size: int) -> bytes:
    """Return bytes without a short period, so that a shifted copy differs."""
    return (_PERIOD * (size // len(_PERIOD) + 1))[:size]


def hkdf_label(label: str, context: bytes, size: int) -> bytes:
    """Return the ``HkdfLabel`` of RFC 8446 §7.1."""
    full = b"tls13 " + label.encode()
    lengths = struct.pack(">HB", size, len(full))
    return lengths + full + bytes([len(context)]) + context


def hkdf_expand_label(hash_name: str, secret: bytes, label: str, size: int) -> bytes:
    """Return HKDF-Expand-Label with an empty context (RFC 5869 §2.3, RFC 8446 §7.1)."""
    info = hkdf_label(label, b"", size)
    out, block = b"", b""
    while len(out) < size:
        counter = bytes([len(out) // hashlib.new(hash_name).digest_size + 1])
        block = hmac.digest(secret, block + info + counter, hash_name)
        out += block
    return out[:size]
