"""The cipher suites: their names in two libraries, and traffic keys from secrets."""

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
class SuiteNames:
    """The names of a TLS 1.3 cipher suite in two libraries, and of its hash."""

    openssl: str
    tlslite: str
    hash_name: str


SUITES = {
    AES_GCM_128.name: SuiteNames("TLS_AES_128_GCM_SHA256", "aes128gcm", "sha256"),
    AES_GCM_256.name: SuiteNames("TLS_AES_256_GCM_SHA384", "aes256gcm", "sha384"),
    CHACHA20_POLY1305.name: SuiteNames(
        "TLS_CHACHA20_POLY1305_SHA256", "chacha20-poly1305", "sha256"
    ),
}


def traffic_key(cipher: Cipher, secret: bytes) -> TrafficKey:
    """Return the traffic key of a secret (RFC 8446 §7.3)."""
    hash_name = SUITES[cipher.name].hash_name
    iv = hkdf_expand_label(hash_name, secret, "iv", 12)
    return TrafficKey(
        TLS13,
        cipher,
        key=hkdf_expand_label(hash_name, secret, "key", cipher.key_size),
        iv=iv[cipher.salt_size :],
        salt=iv[: cipher.salt_size],
    )
