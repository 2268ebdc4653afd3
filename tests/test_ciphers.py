"""The ciphers of the kernel: who implements each, and published vectors for the model and for us.

Every other test of records takes each of them in turn, by the fixture ``key``.
"""

import struct

import pytest
from cryptography.exceptions import InvalidTag

from ktls_fast import Opener, Sealer, aead_in_use
from tests.cipher_vectors import kernel_records, vectors_of
from tests.reference import (
    AES_CCM_128,
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    CIPHERS,
    TLS12,
    Cipher,
    TrafficKey,
)


def test_every_cipher_of_the_kernel_is_there() -> None:
    """Spec 1.2."""
    by_aws_lc = {AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305}
    assert aead_in_use() == {
        cipher.name: "aws-lc" if cipher in by_aws_lc else "rustcrypto" for cipher in CIPHERS
    }


def test_the_model_agrees_with_the_vectors(cipher: Cipher) -> None:
    for vector in vectors_of(cipher):
        aead = cipher.aead(vector.key)
        if vector.valid:
            sealed = aead.encrypt(vector.nonce, vector.plaintext, vector.aad)
            assert sealed == vector.sealed, vector.name
            opened = aead.decrypt(vector.nonce, vector.sealed, vector.aad)
            assert opened == vector.plaintext, vector.name
        else:
            with pytest.raises(InvalidTag):
                aead.decrypt(vector.nonce, vector.sealed, vector.aad)


def test_the_ccm_records_of_the_kernel_are_ours() -> None:
    """Spec 7.4: key, salt and iv of zeros; the nth record's explicit nonce is its number."""
    records = kernel_records()
    assert len(records) == 10
    for vector in records:
        number, record_type, _, size = struct.unpack(">QBHH", vector.aad)
        key = TrafficKey(TLS12, AES_CCM_128, bytes(16), vector.nonce[4:], bytes(4), number)
        body = vector.nonce[4:] + vector.sealed
        record = struct.pack(">BHH", record_type, TLS12, len(body)) + body
        assert (size, len(record)) in {(11, 40), (0, 29)}
        assert Sealer(key.struct()).seal(vector.plaintext, record_type) == record
        assert Opener(key.struct()).open(record) == (record_type, vector.plaintext)
