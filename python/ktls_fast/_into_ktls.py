"""The hand-over of ``Connection.into_ktls`` to either backend."""

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from . import _kernel_tls
from ._core import Connection, CryptoInfo, KtlsSocket
from ._ktls_keys import KtlsKeys
from .constants import SOL_TLS, TCP_ULP, TLS_RX, TLS_TX

if TYPE_CHECKING:
    from ._kernel_socket import KernelSocket

__all__ = ["KernelInstallation", "over_engine", "over_kernel", "tcp_socket"]


def over_engine(conn: Connection) -> tuple[KtlsSocket, KtlsKeys]:
    """Hand ``conn`` over to a socket of the engine."""
    sock, state, received, leftover = conn._hand_over_to_engine()
    return sock, KtlsKeys(sock, state, received, leftover)


def over_kernel(conn: Connection, install: "KernelInstallation") -> "tuple[KernelSocket, KtlsKeys]":
    """Hand ``conn`` over to a socket of the kernel.

    :raises OSError: the kernel's error; ``install.is_refused`` is then true.
    """
    from ._kernel_socket import KernelSocket

    tcp, state, received, leftover = conn._hand_over_to_kernel(install)
    sock = KernelSocket.over(tcp)
    return sock, KtlsKeys(sock, state, received, leftover)


def tcp_socket(conn: Connection) -> socket.socket:
    """Return a socket with a duplicate of the connection's descriptor.

    :raises OSError: EBADF if the connection is closed.
    """
    return socket.socket(fileno=os.dup(conn.fileno()))


class KernelInstallation:
    """Installs the keys of both directions in the kernel."""

    def __init__(self, tcp: socket.socket) -> None:
        """Prepare to install keys at ``tcp``."""
        self._tcp = tcp
        self.is_refused = False
        """Whether the kernel has refused the connection, which goes on as before."""

    def __call__(self, tx: CryptoInfo, rx: CryptoInfo) -> None:
        """Attach the ULP and install both keys.

        The cipher is tried on another connection before: if only one of the two directions had its
        key, the connection could neither go on nor come back.

        :raises OSError: the kernel's error.
        """
        try:
            _kernel_tls.require_cipher(tx.version, tx.cipher_type)
            self._attach()
            self._tcp.setsockopt(SOL_TLS, TLS_RX, bytes(rx))
        except OSError:
            self.is_refused = True
            raise
        self._tcp.setsockopt(SOL_TLS, TLS_TX, bytes(tx))

    def _attach(self) -> None:
        with contextlib.suppress(FileExistsError):  # a call that failed later has attached it
            self._tcp.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
