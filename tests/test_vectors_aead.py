"""Published AEAD vectors as TLS records: NIST, BoringSSL, OpenSSL, Wycheproof.

Key, nonce, plaintext and ciphertext of a record are the vector's, byte for byte; its tag is the
vector's, moved to the additional data of the record (see ``retag.py``). In TLS 1.3 the last byte of
the vector's plaintext is the content type, and zeros after it are padding.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.exceptions import InvalidTag

from ktls_fast import BadRecordError, Opener, Sealer
from tests.aead_vectors import boringssl_chacha, nist_gcm, openssl_chacha, wycheproof
from tests.reference import (
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    TLS12,
    TLS13,
    Cipher,
    TrafficKey,
)
from tests.retag import AeadVector, retag_chacha, retag_gcm


def first_number(cipher: Cipher) -> int:
    """Return a number with as many bytes as the AEAD limit of ``cipher`` allows."""
    return 0x0102030405060708 if cipher is CHACHA20_POLY1305 else 0x010203


@dataclass(frozen=True, slots=True)
class Source:
    """A file of vectors, and how many of its cases fit a TLS record."""

    cipher: Cipher
    load: Callable[[], list[AeadVector]]
    size: int


SOURCES = {
    "nist-encrypt-128": Source(AES_GCM_128, lambda: nist_gcm("gcmEncryptExtIV128.rsp"), 375),
    "nist-encrypt-256": Source(AES_GCM_256, lambda: nist_gcm("gcmEncryptExtIV256.rsp"), 375),
    "nist-decrypt-128": Source(AES_GCM_128, lambda: nist_gcm("gcmDecrypt128.rsp"), 375),
    "nist-decrypt-256": Source(AES_GCM_256, lambda: nist_gcm("gcmDecrypt256.rsp"), 375),
    "boringssl-chacha": Source(CHACHA20_POLY1305, boringssl_chacha, 66),
    "openssl-chacha": Source(CHACHA20_POLY1305, openssl_chacha, 5),
    "wycheproof-128": Source(AES_GCM_128, lambda: wycheproof("aes_gcm_test", 16), 67),
    "wycheproof-256": Source(AES_GCM_256, lambda: wycheproof("aes_gcm_test", 32), 66),
    "wycheproof-chacha": Source(
        CHACHA20_POLY1305, lambda: wycheproof("chacha20_poly1305_test", 32), 316
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A vector as a record under a traffic key."""

    vector: AeadVector
    key: TrafficKey
    record: bytes


@pytest.fixture(scope="module", params=SOURCES.values(), ids=list(SOURCES))
def source(request: pytest.FixtureRequest) -> Source:
    param: Source = request.param
    return param


@pytest.fixture(scope="module")
def cases12(source: Source) -> list[Case]:
    """Return each vector of the source as a TLS 1.2 record."""
    return [_case(TLS12, source.cipher, vector) for vector in source.load()]


@pytest.fixture(scope="module")
def cases13(source: Source) -> list[Case]:
    """Return each vector with a plaintext as a TLS 1.3 record, which needs a content type."""
    return [_case(TLS13, source.cipher, vector) for vector in source.load() if vector.plaintext]


def test_every_fitting_vector_is_used(source: Source) -> None:
    assert len(source.load()) == source.size


def test_the_model_agrees_with_the_vectors(cases12: list[Case], cases13: list[Case]) -> None:
    for case in (*cases12, *cases13):
        want = case.key.seal_inner(case.vector.plaintext)
        assert (case.record == want) == case.vector.valid, case.vector.name


def test_sealer_makes_the_tls12_record_of_each_vector(cases12: list[Case]) -> None:
    """RFC 5288 §3, RFC 7905 §2."""
    for case in cases12:
        sealed = Sealer(case.key.struct()).seal(case.vector.plaintext)
        assert (sealed == case.record) == case.vector.valid, case.vector.name


def test_sealer_makes_the_tls13_record_of_each_vector(cases13: list[Case]) -> None:
    """RFC 8446 §5.2, §5.3; the last byte is the content type, so it must not be 0."""
    for case in cases13:
        *data, record_type = case.vector.plaintext
        if record_type != 0:
            sealed = Sealer(case.key.struct()).seal(bytes(data), record_type)
            assert (sealed == case.record) == case.vector.valid, case.vector.name


def test_opener_opens_the_tls12_record_of_each_valid_vector(cases12: list[Case]) -> None:
    for case in _valid(cases12):
        opened = Opener(case.key.struct()).open(case.record)
        assert opened == (23, case.vector.plaintext), case.vector.name


def test_opener_opens_the_tls13_record_of_each_valid_vector(cases13: list[Case]) -> None:
    """RFC 8446 §5.4: zeros at the end are padding, the byte before them is the content type."""
    for case in _valid(cases13):
        inner = case.vector.plaintext.rstrip(b"\0")
        if inner:
            opened = Opener(case.key.struct()).open(case.record)
            assert opened == (inner[-1], inner[:-1]), case.vector.name


def test_opener_refuses_the_record_of_each_invalid_vector(
    cases12: list[Case], cases13: list[Case]
) -> None:
    for case in (*cases12, *cases13):
        if not case.vector.valid:
            with pytest.raises(InvalidTag):
                case.key.open(case.record)
            with pytest.raises(BadRecordError):
                Opener(case.key.struct()).open(case.record)


def _valid(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case.vector.valid]


def _case(version: int, cipher: Cipher, vector: AeadVector) -> Case:
    key = _traffic_key(version, cipher, vector)
    explicit = vector.nonce[12 - key.explicit_size :] if key.explicit_size else b""
    retag = retag_chacha if cipher is CHACHA20_POLY1305 else retag_gcm
    tag = retag(vector, key.aad(0, 23, len(vector.plaintext)))
    body = explicit + vector.ciphertext + tag
    return Case(vector, key, b"\x17\3\3" + struct.pack(">H", len(body)) + body)


def _traffic_key(version: int, cipher: Cipher, vector: AeadVector) -> TrafficKey:
    """Return the key whose first record has the vector's nonce."""
    explicit = version == TLS12 and cipher is not CHACHA20_POLY1305
    number = first_number(cipher)
    static = int.from_bytes(vector.nonce, "big") ^ (0 if explicit else number)
    nonce = static.to_bytes(12, "big")
    salt, iv = nonce[: cipher.salt_size], nonce[cipher.salt_size :]
    return TrafficKey(version, cipher, vector.key, iv, salt, number)
