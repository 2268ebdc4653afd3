"""The record layer of Linux kernel TLS in user space, with TLS 1.3 key updates.

The package has three levels. :func:`connect` and :func:`accept` return a complete TLS
:class:`Connection`. :class:`KtlsSocket` behaves as a TCP socket with the kernel's tls ULP.
:class:`Sealer` and :class:`Opener` work on records in memory.
"""

import typing as _typing

from ._backends import ktls_socket
from ._core import (
    ClientConfig,
    Connection,
    ControlRecord,
    CryptoInfo,
    ExportedConnection,
    KeyUpdateFound,
    KeyUpdateScanner,
    KtlsSocket,
    Namespace,
    OffloadQueue,
    OpenedBatch,
    Opener,
    QueueStats,
    RekeyPolicy,
    Relay,
    RelayHandle,
    SealedBatch,
    Sealer,
    ServerConfig,
    ServerIdentity,
    StormPolicy,
    TlsInfo,
    TLSObject,
    TrafficSecret,
    __version__,
    aead_in_use,
    cpu_features,
    derive_tls12_keys,
    key_update_message,
    scan_key_updates,
    tls_stat,
)
from ._core import (
    __pyx_capi__ as __pyx_capi__,  # for Cython's cimport
)
from ._lazy import LazyModule as _LazyModule
from ._moved import install as _install_old_names
from ._worker_exit import finish_in_workers as _finish_in_workers
from .constants import (
    SOL_TLS,
    TCP_ULP,
    TLS_GET_RECORD_TYPE,
    TLS_RX,
    TLS_RX_EXPECT_NO_PAD,
    TLS_SET_RECORD_TYPE,
    TLS_TX,
    TLS_TX_MAX_PAYLOAD_LEN,
    TLS_TX_ZEROCOPY_RO,
    CipherType,
    ContentType,
    Suite,
    TlsConf,
    Version,
)
from .errors import (
    AlertReceivedError,
    BadRecordError,
    ConfigError,
    HandshakeError,
    KeyExpiredError,
    KeyLimitError,
    KtlsError,
    PeerError,
    RecordTooLargeError,
    TruncatedError,
    WantReadError,
    WantWriteError,
)

if _typing.TYPE_CHECKING:
    import socket

    from ._handover.from_ssl import from_ssl, prepare
    from ._kernel_socket import KernelSocket
    from ._ktls_connection import KtlsConnection
    from ._ktls_keys import KtlsKeys
else:
    socket = _LazyModule("socket")  # as slow to import as this package

__all__ = [
    "SOL_TLS",
    "TCP_ULP",
    "TLS_GET_RECORD_TYPE",
    "TLS_RX",
    "TLS_RX_EXPECT_NO_PAD",
    "TLS_SET_RECORD_TYPE",
    "TLS_TX",
    "TLS_TX_MAX_PAYLOAD_LEN",
    "TLS_TX_ZEROCOPY_RO",
    "AlertReceivedError",
    "BadRecordError",
    "CipherType",
    "ClientConfig",
    "ConfigError",
    "Connection",
    "ContentType",
    "ControlRecord",
    "CryptoInfo",
    "ExportedConnection",
    "HandshakeError",
    "KernelSocket",
    "KeyExpiredError",
    "KeyLimitError",
    "KeyUpdateFound",
    "KeyUpdateScanner",
    "KtlsConnection",
    "KtlsError",
    "KtlsKeys",
    "KtlsSocket",
    "Namespace",
    "OffloadQueue",
    "OpenedBatch",
    "Opener",
    "PeerError",
    "QueueStats",
    "RecordTooLargeError",
    "RekeyPolicy",
    "Relay",
    "RelayHandle",
    "SealedBatch",
    "Sealer",
    "ServerConfig",
    "ServerIdentity",
    "StormPolicy",
    "Suite",
    "TLSObject",
    "TlsConf",
    "TlsInfo",
    "TrafficSecret",
    "TruncatedError",
    "Version",
    "WantReadError",
    "WantWriteError",
    "__version__",
    "accept",
    "aead_in_use",
    "connect",
    "cpu_features",
    "derive_tls12_keys",
    "from_ssl",
    "get_include",
    "key_update_message",
    "ktls_socket",
    "prepare",
    "scan_key_updates",
    "tls_stat",
]

_install_old_names()
_finish_in_workers()


def connect(
    address: tuple[str, int],
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    timeout: float | None = None,
) -> Connection:
    """Connect to a TLS server and return the connection after the handshake.

    :param config: the default trusts the root certificates of the system.
    :param server_name: the DNS name or IP address that the server's certificate must prove;
        default: the host of ``address``.
    :param timeout: seconds for the TCP connect and for the handshake, each; it remains the timeout
        of the connection. None waits forever.
    :raises HandshakeError: EPROTO: the handshake failed; the text says why.
    :raises OSError: the errors of :func:`socket.create_connection`.
    """
    sock = socket.create_connection(address, timeout)
    with sock:  # closes the socket after an error only: a Connection detaches it
        _disable_nagle(sock)
        return Connection.client(sock, config or ClientConfig(), server_name or address[0])


def get_include() -> str:
    """Return the directory of ``ktls_fast.h``, for the option ``-I`` of a C compiler or Cython."""
    from pathlib import Path  # would make importing the package a third slower

    return str(Path(__file__).with_name("include"))


def accept(sock: "socket.socket", config: ServerConfig) -> Connection:
    """Perform the server's handshake on an accepted socket and return the connection.

    The handshake must finish within the timeout of ``sock``.

    :raises HandshakeError: EPROTO: the handshake failed; the text says why. The peer was sent an
        alert.
    :raises TimeoutError: the handshake took longer than the timeout of ``sock``.
    """
    _disable_nagle(sock)
    return Connection.server(sock, config)


def _disable_nagle(sock: "socket.socket") -> None:
    """Disable Nagle's algorithm, which would delay the end of a record until an ACK arrives."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


_ON_FIRST_USE = {
    "KernelSocket": "._kernel_socket",
    "KtlsConnection": "._ktls_connection",
    "KtlsKeys": "._ktls_keys",
    "from_ssl": "._handover.from_ssl",
    "prepare": "._handover.from_ssl",
}

if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import some names on first use: few programs need them, and they import more modules."""
        if name not in _ON_FIRST_USE:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        value: object = getattr(import_module(_ON_FIRST_USE[name], __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_ON_FIRST_USE})
