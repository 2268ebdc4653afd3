"""``TrafficSecret`` against a model, OpenSSL and ``cryptography``.

The RFC's own numbers are in ``test_vectors_rfc8448.py``.
"""

import copy
import errno
import pickle
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast import KtlsError, TrafficSecret
from tests.reference import (
    AES_CCM_128,
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    SM4_CCM,
    SM4_GCM,
    TLS13,
    Cipher,
    TrafficKey,
    hkdf_expand_label,
    hkdf_label,
    pattern,
)

Expand = Callable[[str, bytes, str, int], bytes]
"""HKDF-Expand-Label as (hash, secret, label, size) -> bytes, by whomever."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A TLS 1.3 suite (RFC 8446 §B.4, RFC 8998 §2)."""

    number: int
    cipher: Cipher
    hash_name: str
    hash_size: int

    def secret(self) -> bytes:
        """Return a secret of the size of the hash."""
        return pattern(self.hash_size)


SUITES = [
    pytest.param(Suite(0x1301, AES_GCM_128, "sha256", 32), id="1301"),
    pytest.param(Suite(0x1302, AES_GCM_256, "sha384", 48), id="1302"),
    pytest.param(Suite(0x1303, CHACHA20_POLY1305, "sha256", 32), id="1303"),
    pytest.param(Suite(0x1304, AES_CCM_128, "sha256", 32), id="1304"),
    pytest.param(Suite(0x00C6, SM4_GCM, "sm3", 32), id="00c6"),
    pytest.param(Suite(0x00C7, SM4_CCM, "sm3", 32), id="00c7"),
]
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sm3": hashes.SM3(),
}
every_suite = pytest.mark.parametrize("suite", SUITES)
AES128 = Suite(0x1301, AES_GCM_128, "sha256", 32)


def by_cryptography(hash_name: str, secret: bytes, label: str, size: int) -> bytes:
    return HKDFExpand(HASHES[hash_name], size, hkdf_label(label, b"", size)).derive(secret)


def by_openssl(openssl: str, kdf: list[str], hash_name: str, secret: bytes, size: int) -> bytes:
    options = [f"digest:{hash_name}", "mode:EXPAND_ONLY", f"hexkey:{secret.hex()}", *kdf[1:]]
    given_options = [word for option in options for word in ("-kdfopt", option)]
    command = [openssl, "kdf", "-binary", "-keylen", str(size), *given_options, kdf[0]]
    return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout


def wanted(suite: Suite, secret: bytes, expand: Expand, rec_seq: int = 0) -> bytes:
    """Return the struct of the traffic key of ``secret`` (RFC 8446 §7.3)."""
    key = expand(suite.hash_name, secret, "key", suite.cipher.key_size)
    iv = expand(suite.hash_name, secret, "iv", 12)
    salt, iv = iv[: suite.cipher.salt_size], iv[suite.cipher.salt_size :]
    return TrafficKey(TLS13, suite.cipher, key, iv, salt, rec_seq).struct()


def check_generations(suite: Suite, secret: bytes, expand: Expand) -> None:
    """Four generations of RFC 8446 §7.2, ours against those of ``expand``."""
    ours = TrafficSecret(suite.number, secret)
    for generation in range(4):
        assert ours.generation == generation
        assert bytes(ours.crypto_info()) == wanted(suite, secret, expand), generation
        ours = ours.next()
        secret = expand(suite.hash_name, secret, "traffic upd", suite.hash_size)


@every_suite
def test_generations_equal_those_of_the_model(suite: Suite) -> None:
    check_generations(suite, suite.secret(), hkdf_expand_label)


@given(st.data())
@every_suite
def test_generations_equal_those_of_cryptography(suite: Suite, data: st.DataObject) -> None:
    size = suite.hash_size
    check_generations(suite, data.draw(st.binary(min_size=size, max_size=size)), by_cryptography)


@every_suite
def test_generations_equal_those_of_openssl_hkdf(
    suite: Suite, require_tool: Callable[[str], str]
) -> None:
    """RFC 5869 by OpenSSL, the ``HkdfLabel`` of RFC 8446 §7.1 by hand."""
    openssl = require_tool("openssl")

    def expand(hash_name: str, secret: bytes, label: str, size: int) -> bytes:
        info = hkdf_label(label, b"", size).hex()
        return by_openssl(openssl, ["HKDF", f"hexinfo:{info}"], hash_name, secret, size)

    check_generations(suite, suite.secret(), expand)


@every_suite
def test_generations_equal_those_of_openssl_tls13_kdf(
    suite: Suite, require_tool: Callable[[str], str]
) -> None:
    """The label is made by OpenSSL too."""
    openssl = require_tool("openssl")

    def expand(hash_name: str, secret: bytes, label: str, size: int) -> bytes:
        kdf = ["TLS13-KDF", "prefix:tls13 ", f"label:{label}"]
        return by_openssl(openssl, kdf, hash_name, secret, size)

    check_generations(suite, suite.secret(), expand)


@pytest.mark.parametrize("rec_seq", [0, 1, 2**64 - 1])
def test_crypto_info_accepts_the_number_of_its_first_record(rec_seq: int) -> None:
    info = TrafficSecret(0x1301, AES128.secret()).crypto_info(rec_seq)
    assert bytes(info) == wanted(AES128, AES128.secret(), hkdf_expand_label, rec_seq)


def test_next_does_not_change_the_secret() -> None:
    secret = TrafficSecret(0x1301, AES128.secret())
    before = bytes(secret.crypto_info())
    secret.next()
    assert (bytes(secret.crypto_info()), secret.generation) == (before, 0)


def test_the_generation_continues_from_the_given_one() -> None:
    secret = TrafficSecret(0x1303, AES128.secret(), generation=41)
    assert (secret.generation, secret.next().generation) == (41, 42)


@every_suite
def test_the_suite_is_returned(suite: Suite) -> None:
    assert TrafficSecret(suite.number, suite.secret()).suite == suite.number


@every_suite
def test_a_secret_of_another_length_is_refused(suite: Suite) -> None:
    """RFC 8446 §7.1: secrets are as long as the hash."""
    for size in {*range(65)} - {suite.hash_size}:
        with pytest.raises(KtlsError, match=f"{size} bytes") as caught:
            TrafficSecret(suite.number, bytes(size))
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("number", [0, 0x1300, 0x1305, 0xC02F, 0xFFFF])
def test_an_unknown_suite_is_refused(number: int) -> None:
    with pytest.raises(KtlsError, match=f"{number:#06x}") as caught:
        TrafficSecret(number, bytes(32))
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("show", [repr, str])
def test_no_secret_is_shown(show: Callable[[object], str]) -> None:
    shown = show(TrafficSecret(0x1301, AES128.secret()))
    assert shown == "TrafficSecret(suite=TLS_AES_128_GCM_SHA256, generation=0)"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_it_refuses_to_be_pickled(duplicate: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="TrafficSecret"):
        duplicate(TrafficSecret(0x1301, AES128.secret()))
