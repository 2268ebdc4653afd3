"""The ciphers of the kernel: the library for each, and published vectors for model and package.

Every other test of records takes each of them in turn, by the fixture ``key``.
"""

import os
import struct
import subprocess
import sys

import pytest
from cryptography.exceptions import InvalidTag

from ktls_fast import Opener, Sealer, aead_in_use, cpu_features
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
    """docs/kernel-rules.md, S1.2."""
    chosen = {AES_GCM_128: fastest_gcm(), AES_GCM_256: fastest_gcm(), CHACHA20_POLY1305: "aws-lc"}
    assert aead_in_use() == {cipher.name: chosen.get(cipher, "rustcrypto") for cipher in CIPHERS}


def fastest_gcm() -> str:
    """Return the best implementation of AES-GCM on a CPU with these features."""
    if os.environ.get("KTLS_FAST_AEAD") == "aws-lc":
        return "aws-lc"
    features = set(cpu_features())
    if not features >= {"aes", "pclmulqdq", "avx2", "vaes", "vpclmulqdq"}:
        return "aws-lc"
    return "vaes-avx512" if features >= {"avx512f", "avx512bw"} else "vaes-avx2"


@pytest.mark.parametrize("value", ["aws-lc", "auto", "aws_lc"])
def test_the_environment_variable_chooses_the_aes_gcm_implementation(value: str) -> None:
    """An invalid value is refused when a key is created, and the error names it."""
    lines = [
        "import ktls_fast",
        "print(ktls_fast.aead_in_use().get('AES_GCM_128'))",
        "info = ktls_fast.CryptoInfo(0x304, 51, key=bytes(16), iv=bytes(8), salt=bytes(4))",
        "try: ktls_fast.Sealer(info)",
        "except ktls_fast.KtlsError as error: print(error)",
    ]
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**os.environ, "KTLS_FAST_AEAD": value},
        capture_output=True,
        text=True,
        check=True,
    )
    refused = f'[Errno 22] KTLS_FAST_AEAD is "{value}": it is auto, vaes or aws-lc'
    in_use = {"aws-lc": ["aws-lc"], "auto": [fastest_gcm()], "aws_lc": ["None", refused]}
    assert run.stdout.splitlines() == in_use[value]


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


def test_ccm_records_equal_those_of_the_kernel() -> None:
    """Fixture "zero_len" of the kernel's selftest: key, salt and iv are zeros.

    The nth record's explicit nonce is its number.
    """
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
