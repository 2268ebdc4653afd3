"""Backends for the tests of ``Connection.into_ktls``, and connections that were handed over.

On a host without kernel TLS the engine plays the kernel: it gets nothing but the TCP socket and the
two keys, as the kernel does.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Unpack

import pytest

from ktls_fast import (
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    Connection,
    CryptoInfo,
    KtlsConnection,
    KtlsSocket,
    _backends,
    _into_ktls,
    _kernel_socket,
)
from ktls_fast._kernel_tls import can_rekey
from tests.peers.ours import RekeyLimits, paired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ktls_fast._backends import Backend
    from tests.peers.raw import RawPeer

BACKENDS = ["engine", "played kernel", "kernel"]


def inode(sock: socket.socket) -> int:
    """Return a number that duplicates of a descriptor share."""
    return os.fstat(sock.fileno()).st_ino


class PlayedKernel:
    """Takes the place of ``KernelInstallation`` and of ``KernelSocket``."""

    installed: ClassVar[dict[int, tuple[CryptoInfo, CryptoInfo]]] = {}
    """The keys by the inode of the socket: both ends of a connection may be here."""
    refuses = 0
    """The errno with which the keys are refused; 0 takes them."""
    refused_step = -1
    """Which call is refused: -1 is the preparation, 0 the first key and 1 the second."""

    def __init__(self, tcp: socket.socket) -> None:
        """Note that the kernel was asked."""
        self.was_asked = False
        self._inode = inode(tcp)

    def __call__(self, tx: CryptoInfo, rx: CryptoInfo) -> list[Callable[[], None]]:
        """Return the calls that take the keys."""
        self.was_asked = True

        def take(step: int) -> None:
            if PlayedKernel.refuses and PlayedKernel.refused_step == step:
                raise OSError(PlayedKernel.refuses, "refused by the test")
            if step == 1:
                PlayedKernel.installed[self._inode] = tx, rx

        take(-1)
        return [lambda: take(0), lambda: take(1)]

    @staticmethod
    def over(sock: socket.socket) -> KtlsSocket:
        """Return the socket with the keys."""
        tx, rx = PlayedKernel.installed[inode(sock)]
        tls = KtlsSocket(sock)
        tls.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        tls.setsockopt(SOL_TLS, TLS_TX, tx)
        tls.setsockopt(SOL_TLS, TLS_RX, rx)
        return tls


def play_kernel(monkeypatch: pytest.MonkeyPatch, *, refuses: int = 0, step: int = -1) -> None:
    """Let the engine play the kernel, which refuses keys at ``step`` with the errno ``refuses``."""
    monkeypatch.setattr(PlayedKernel, "refused_step", step)
    monkeypatch.setattr(PlayedKernel, "refuses", refuses)
    monkeypatch.setattr(PlayedKernel, "installed", {})
    monkeypatch.setattr(_backends, "_require_kernel", lambda _namespace: None)
    monkeypatch.setattr(_backends, "_kernel_suits", lambda _sock: True)
    monkeypatch.setattr(_into_ktls, "KernelInstallation", PlayedKernel)
    monkeypatch.setattr(_kernel_socket, "KernelSocket", PlayedKernel)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Return the argument of ``into_ktls`` for each backend."""
    if request.param == "played kernel":
        play_kernel(monkeypatch)
        return "kernel"
    if request.param == "kernel" and not can_rekey():
        pytest.skip("the kernel of this host has no TLS that can rekey")
    chosen: Backend = request.param
    return chosen


def into_ktls(conn: Connection, backend: Backend) -> KtlsConnection:
    """Hand a connection over, and check that it can be used no more."""
    tls = KtlsConnection(*conn.into_ktls(backend))
    assert conn.fileno() == -1
    return tls


@contextmanager
def handed_over(
    backend: Backend,
    *,
    server_side: bool = True,
    suite: int = 0x1301,
    **limits: Unpack[RekeyLimits],
) -> Iterator[tuple[KtlsConnection, RawPeer]]:
    """Yield a connection over a kTLS socket, and its peer made by hand."""
    with paired(server_side=server_side, suite=suite, **limits) as (conn, peer):
        tls = into_ktls(conn, backend)
        try:
            yield tls, peer
        finally:
            tls.close()


def receive_exactly(tls: KtlsConnection, size: int) -> bytes:
    """Receive ``size`` bytes, or fewer if the peer ends before."""
    data = bytearray()
    while len(data) < size and (piece := tls.recv(size - len(data))):
        data += piece
    return bytes(data)
