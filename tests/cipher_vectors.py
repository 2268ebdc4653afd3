"""The published vectors of the ciphers in ``tests/vectors/aead``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.reference import AES_CCM_128, Cipher

VECTORS = Path(__file__).parent / "vectors" / "aead"


@dataclass(frozen=True, slots=True)
class CipherVector:
    """A line of a file in ``tests/vectors/aead``."""

    name: str
    key: bytes
    nonce: bytes
    aad: bytes
    plaintext: bytes
    sealed: bytes
    valid: bool

    @classmethod
    def parse(cls, line: str) -> Self:
        """Parse a line: the name, six fields in hex, and ``valid`` or ``invalid``."""
        name, *fields, result = line.split("\t")
        key, nonce, aad, plaintext, ciphertext, tag = map(bytes.fromhex, fields)
        return cls(name, key, nonce, aad, plaintext, ciphertext + tag, result == "valid")


def vectors_of(cipher: Cipher) -> list[CipherVector]:
    """Return the vectors of a cipher."""
    lines = (VECTORS / f"{cipher.name.lower()}.tsv").read_text().splitlines()
    return [CipherVector.parse(line) for line in lines[1:]]


def kernel_records() -> list[CipherVector]:
    """Return the AES-CCM records of the kernel's selftest, with their AAD of TLS 1.2."""
    return [each for each in vectors_of(AES_CCM_128) if each.name.startswith("kernel")]
