"""The record layer of Linux kernel TLS in user space, with TLS 1.3 key updates.

Three ways in: :func:`connect` and :func:`accept` give a whole TLS :class:`Connection`;
:class:`KtlsSocket` behaves as a TCP socket with the kernel's tls ULP; :class:`Sealer` and
:class:`Opener` work on records in memory.
"""

import typing as _typing

from ._backends import ktls_socket
from ._core import (
    ClientConfig,
    Connection,
    ControlRecord,
    CryptoInfo,
    KeyUpdateFound,
    KeyUpdateScanner,
    KtlsSocket,
    Namespace,
    OffloadQueue,
    OpenedBatch,
    Opener,
    QueueStats,
    Relay,
    RelayHandle,
    SealedBatch,
    Sealer,
    ServerConfig,
    TlsInfo,
    TrafficSecret,
    __version__,
    aead_in_use,
    cpu_features,
    key_update_message,
    scan_key_updates,
    tls_stat,
)
from ._core import (
    __pyx_capi__ as __pyx_capi__,  # for Cython's cimport
)
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
)

if _typing.TYPE_CHECKING:
    import socket

    from ._kernel_socket import KernelSocket

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
    "HandshakeError",
    "KernelSocket",
    "KeyExpiredError",
    "KeyLimitError",
    "KeyUpdateFound",
    "KeyUpdateScanner",
    "KtlsError",
    "KtlsSocket",
    "Namespace",
    "OffloadQueue",
    "OpenedBatch",
    "Opener",
    "PeerError",
    "QueueStats",
    "RecordTooLargeError",
    "Relay",
    "RelayHandle",
    "SealedBatch",
    "Sealer",
    "ServerConfig",
    "Suite",
    "TlsConf",
    "TlsInfo",
    "TrafficSecret",
    "TruncatedError",
    "Version",
    "__version__",
    "accept",
    "aead_in_use",
    "connect",
    "cpu_features",
    "get_include",
    "key_update_message",
    "ktls_socket",
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
    """Connect to a TLS server.

    :param config: default: the system's roots.
    :param server_name: what the certificate must prove; default: the host of ``address``.
    :param timeout: seconds for the TCP connect and for the handshake, each; it stays set.
    :raises HandshakeError: EPROTO, with what went wrong.
    :raises OSError: what :func:`socket.create_connection` raises.
    """
    import socket  # which costs as much as this package, and is there before a call of accept

    sock = socket.create_connection(address, timeout)
    with sock:  # a Connection detaches it, so that this closes it after an error only
        _send_at_once(sock)
        return Connection.client(sock, config or ClientConfig(), server_name or address[0])


def get_include() -> str:
    """The folder of ``ktls_fast.h``, for a C compiler's ``-I``; Cython needs it, too."""
    from pathlib import Path  # which costs a third of all that this package costs otherwise

    return str(Path(__file__).with_name("include"))


def accept(sock: "socket.socket", config: ServerConfig) -> Connection:
    """Do the server's handshake on ``sock``, which a listener has accepted, within its timeout.

    :raises HandshakeError: EPROTO, with what went wrong; the peer got an alert.
    :raises TimeoutError: the handshake took longer than the timeout of ``sock``.
    """
    _send_at_once(sock)
    return Connection.server(sock, config)


def _send_at_once(sock: "socket.socket") -> None:
    """Switch Nagle's algorithm off: it would hold the end of a record back until an ACK comes."""
    import socket

    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import ``KernelSocket`` when it is asked for: few need it, and only Linux can."""
        if name != "KernelSocket":
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from ._kernel_socket import KernelSocket

        return KernelSocket

    def __dir__() -> list[str]:
        return sorted({*globals(), "KernelSocket"})
