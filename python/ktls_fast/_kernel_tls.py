"""The TLS of the host's kernel: its presence, its support for rekeying, and its counters."""

import contextlib
import errno
import functools
import socket
from collections.abc import Iterator

from ._core import CryptoInfo, TrafficSecret
from ._messages import reason
from .constants import SOL_TLS, TCP_ULP, TLS_RX, TLS_TX, CipherType, Suite
from .errors import KtlsError

__all__ = ["can_rekey", "counters", "kernel_tls", "require_cipher", "require_ulp"]

TLS_STAT = "/proc/net/tls_stat"
TIMEOUT = 10.0
LONG_KEYS = (CipherType.AES_GCM_256, CipherType.CHACHA20_POLY1305, CipherType.ARIA_GCM_256)
"""The ciphers whose keys have 32 bytes."""


def kernel_tls() -> dict[str, str]:
    """Return whether the kernel has the tls ULP (``ulp``) and can install a second key (``rekey``).

    Each value is ``"yes"``, or ``"no"`` and usually the reason. Both are tried on a loopback
    connection.
    """
    with _loopback_connection() as sock:
        error = _setsockopt_error(sock, socket.IPPROTO_TCP, TCP_ULP, b"tls")
        if error is None:
            return {"ulp": "yes", "rekey": _try_rekey(sock)}
        if error.errno == errno.ENOENT:
            return {"ulp": "no: the kernel has no module tls, or has not loaded it", "rekey": "no"}
        return {"ulp": f"no: {reason(error)}", "rekey": "no"}


def can_rekey() -> bool:
    """Return True if the kernel has TLS that can rekey; the answer is cached in this process.

    Return False, without caching it, if the trial fails, for example without a loopback interface.
    """
    try:
        return _kernel_can_rekey()
    except OSError:
        return False


@functools.cache
def _kernel_can_rekey() -> bool:
    return kernel_tls()["rekey"] == "yes"


@functools.cache
def require_ulp() -> None:
    """Raise an error if the kernel has no tls ULP.

    Only success is cached: the module may be loaded after a failure.

    :raises KtlsError: ENOENT; the text says what to do.
    """
    answer, _, why = kernel_tls()["ulp"].partition(": ")
    if answer != "yes":
        msg = f'{why}; run "modprobe tls" as root, or use the backend "engine"'
        raise KtlsError(errno.ENOENT, msg)


@functools.cache
def require_cipher(version: int, cipher_type: int) -> None:
    """Raise an error if the kernel does not take keys of this version and cipher.

    Only success is cached.

    :raises KtlsError: the kernel's errno; the text names the cipher.
    """
    info = _zero_key(version, cipher_type)
    with _loopback_connection() as sock:
        error = _setsockopt_error(sock, socket.IPPROTO_TCP, TCP_ULP, b"tls")
        for direction in (TLS_TX, TLS_RX):
            error = error or _setsockopt_error(sock, SOL_TLS, direction, bytes(info))
    if error is not None:
        name = CipherType(cipher_type).name
        msg = f"the kernel does not take a key of {name}: {reason(error)}"
        raise KtlsError(error.errno, msg)


def _zero_key(version: int, cipher_type: int) -> CryptoInfo:
    """Return a key of zeros."""
    key = bytes(32 if cipher_type in LONG_KEYS else 16)
    if cipher_type == CipherType.CHACHA20_POLY1305:
        return CryptoInfo(version, cipher_type, key=key, iv=bytes(12))
    return CryptoInfo(version, cipher_type, key=key, iv=bytes(8), salt=bytes(4))


def counters() -> dict[str, int]:
    """Return the kernel's TLS counters of this network namespace, by name."""
    from pathlib import Path  # see get_include

    lines = (line.split() for line in Path(TLS_STAT).read_text().splitlines())
    return {name: int(value) for name, value in lines}


def _try_rekey(sock: socket.socket) -> str:
    """Install a key and the next one in each direction; rekeying needs Linux 6.14 or later."""
    secret = TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes(32))
    for direction in (TLS_TX, TLS_RX):
        for info in (secret.crypto_info(), secret.next().crypto_info()):
            error = _setsockopt_error(sock, SOL_TLS, direction, bytes(info))
            if error is not None:
                return f"no: {reason(error)}"
    return "yes"


def _setsockopt_error(sock: socket.socket, level: int, option: int, value: bytes) -> OSError | None:
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        return error
    return None


@contextlib.contextmanager
def _loopback_connection() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), TIMEOUT) as sock,
    ):
        yield sock
