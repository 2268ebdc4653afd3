"""The suites of libraries that negotiate: their names, and a traffic key from a secret."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference import (
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    TLS13,
    Cipher,
    TrafficKey,
    hkdf_expand_label,
)


@dataclass(frozen=True, slots=True)
class Suite:
    """A TLS 1.3 suite under the names of two libraries."""

    openssl: str
    tlslite: str
    hash_name: str


SUITES = {
    AES_GCM_128.name: Suite("TLS_AES_128_GCM_SHA256", "aes128gcm", "sha256"),
    AES_GCM_256.name: Suite("TLS_AES_256_GCM_SHA384", "aes256gcm", "sha384"),
    CHACHA20_POLY1305.name: Suite("TLS_CHACHA20_POLY1305_SHA256", "chacha20-poly1305", "sha256"),
}


def traffic_key(cipher: Cipher, secret: bytes) -> TrafficKey:
    """The traffic key of a secret (RFC 8446 §7.3)."""
    hash_name = SUITES[cipher.name].hash_name
    iv = hkdf_expand_label(hash_name, secret, "iv", 12)
    return TrafficKey(
        TLS13,
        cipher,
        key=hkdf_expand_label(hash_name, secret, "key", cipher.key_size),
        iv=iv[cipher.salt_size :],
        salt=iv[: cipher.salt_size],
    )
