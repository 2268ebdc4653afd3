"""The hand-over of ``Connection.into_ktls`` to either backend."""

import contextlib
import functools
import os
import socket
from collections.abc import Callable
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

    :raises OSError: the kernel's error; ``install.was_asked`` is then true. If the kernel has taken
        one key and refused the other, ``conn`` is closed.
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
        self.was_asked = False
        """Whether the kernel was asked to take the connection."""

    def __call__(self, tx: CryptoInfo, rx: CryptoInfo) -> list[Callable[[], object]]:
        """Attach the ULP, and return the calls that install both keys.

        They are calls of C. A signal handler that raised an exception between or behind them would
        leave the keys in the kernel and in the connection.

        The cipher is tried on another connection before: if only one of the two directions had its
        key, the connection could neither go on nor come back.

        :raises OSError: the kernel's error.
        """
        self.was_asked = True
        _kernel_tls.require_cipher(tx.version, tx.cipher_type)
        self._attach()
        return [
            functools.partial(self._tcp.setsockopt, SOL_TLS, TLS_RX, bytes(rx)),
            functools.partial(self._tcp.setsockopt, SOL_TLS, TLS_TX, bytes(tx)),
        ]

    def _attach(self) -> None:
        with contextlib.suppress(FileExistsError):  # a call that failed later has attached it
            self._tcp.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
