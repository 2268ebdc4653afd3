"""AEADs without a class in ``cryptography``: SM4 on its SM4, and ARIA by OpenSSL's libcrypto.

Each has the methods of the AEAD classes of ``cryptography``, a 12-byte nonce and a 16-byte tag.
"""

import ctypes
import hmac
from ctypes import byref, c_int, c_void_p
from ctypes.util import find_library
from functools import cache
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, GCM

BLOCK_SIZE = TAG_SIZE = 16


class Sm4Gcm:
    """SM4 in GCM mode (RFC 8998 §3.2.1)."""

    def __init__(self, key: bytes) -> None:
        self._sm4 = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the ciphertext and the tag."""
        encryptor = Cipher(self._sm4, GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext, or raise ``InvalidTag``."""
        ciphertext, tag = data[:-TAG_SIZE], data[-TAG_SIZE:]
        decryptor = Cipher(self._sm4, GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(ciphertext) + decryptor.finalize()


class Sm4Ccm:
    """SM4 in CCM mode (RFC 8998 §3.2.2), after the steps of RFC 3610 §2 for L = 3, M = 16."""

    def __init__(self, key: bytes) -> None:
        self._sm4 = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the ciphertext and the tag."""
        masked = self._masked(nonce, self._mac(nonce, data, associated_data) + data)
        return masked[TAG_SIZE:] + masked[:TAG_SIZE]

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext, or raise ``InvalidTag``."""
        plain = self._masked(nonce, data[-TAG_SIZE:] + data[:-TAG_SIZE])
        mac, plaintext = plain[:TAG_SIZE], plain[TAG_SIZE:]
        if not hmac.compare_digest(mac, self._mac(nonce, plaintext, associated_data)):
            raise InvalidTag
        return plaintext

    def _mac(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the last CBC block over length, additional data and data (RFC 3610 §2.2)."""
        flags = (64 if associated_data else 0) + 8 * ((TAG_SIZE - 2) // 2) + 2
        first = bytes([flags]) + nonce + len(data).to_bytes(3, "big")
        if associated_data:
            associated_data = len(associated_data).to_bytes(2, "big") + associated_data
        blocks = first + _padded(associated_data) + _padded(data)
        return Cipher(self._sm4, CBC(bytes(BLOCK_SIZE))).encryptor().update(blocks)[-BLOCK_SIZE:]

    def _masked(self, nonce: bytes, text: bytes) -> bytes:
        """Encrypt the tag by block 0 of the key stream, and the data by the others (§2.3)."""
        return Cipher(self._sm4, CTR(b"\2" + nonce + bytes(3))).encryptor().update(text)


class AriaGcm:
    """ARIA-128 or ARIA-256, depending on the key's size, in GCM mode (RFC 6209 §2.2)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the ciphertext and the tag."""
        with _Gcm(self._key, nonce, encrypting=True) as gcm:
            ciphertext = gcm.run(associated_data, data)
            assert gcm.finish()
            return ciphertext + gcm.tag()

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext, or raise ``InvalidTag``."""
        with _Gcm(self._key, nonce, encrypting=False) as gcm:
            plaintext = gcm.run(associated_data, data[:-TAG_SIZE])
            gcm.expect(data[-TAG_SIZE:])
            if not gcm.finish():
                raise InvalidTag
            return plaintext


class _Gcm:
    """A single use of OpenSSL's ``EVP_CIPHER_CTX``."""

    GET_TAG, SET_TAG = 0x10, 0x11

    def __init__(self, key: bytes, nonce: bytes, *, encrypting: bool) -> None:
        self._lib = libcrypto()
        self._context = c_void_p(self._lib.EVP_CIPHER_CTX_new())
        cipher = getattr(self._lib, f"EVP_aria_{len(key) * 8}_gcm")
        cipher.restype = c_void_p
        init = self._lib.EVP_CipherInit_ex
        assert init(self._context, c_void_p(cipher()), None, key, nonce, encrypting) == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.EVP_CIPHER_CTX_free(self._context)

    def run(self, associated_data: bytes, data: bytes) -> bytes:
        """Encrypt or decrypt all data at once."""
        update, size = self._lib.EVP_CipherUpdate, c_int()
        out = ctypes.create_string_buffer(len(data) + BLOCK_SIZE)
        aad_size = len(associated_data)
        assert update(self._context, None, byref(size), associated_data, aad_size) == 1
        assert update(self._context, out, byref(size), data, len(data)) == 1
        return out.raw[: len(data)]

    def finish(self) -> bool:
        """Finish the operation; return False if an expected tag is wrong."""
        end = ctypes.create_string_buffer(BLOCK_SIZE)
        done = self._lib.EVP_CipherFinal_ex(self._context, end, byref(c_int()))
        return bool(done == 1)

    def tag(self) -> bytes:
        """Return the tag of the encrypted data."""
        tag = ctypes.create_string_buffer(TAG_SIZE)
        self._control(self.GET_TAG, tag)
        return tag.raw

    def expect(self, tag: bytes) -> None:
        """Set the expected tag of the data to decrypt."""
        self._control(self.SET_TAG, ctypes.create_string_buffer(tag, TAG_SIZE))

    def _control(self, command: int, tag: "ctypes.Array[ctypes.c_char]") -> None:
        assert self._lib.EVP_CIPHER_CTX_ctrl(self._context, command, TAG_SIZE, tag) == 1


@cache
def libcrypto() -> ctypes.CDLL:
    """Load OpenSSL's libcrypto; the Debian package ``openssl`` installs it."""
    name = find_library("crypto")
    assert name is not None, "libcrypto is missing: install OpenSSL (Debian: apt install openssl)"
    library = ctypes.CDLL(name)
    library.EVP_CIPHER_CTX_new.restype = c_void_p
    return library


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_SIZE)
