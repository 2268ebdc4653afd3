"""The two sides of a comparison: how each takes over a socket, and its counters."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ktls_fast import KtlsSocket, Namespace, _kernel_tls
from ktls_fast._kernel_socket import KernelSocket

__all__ = ["ComparedSide", "Counters", "TlsEnd", "engine", "kernel"]

TlsEnd: TypeAlias = KtlsSocket | KernelSocket
Counters: TypeAlias = Callable[[], dict[str, int]]


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """An implementation of TLS sockets that scenarios are played on."""

    name: str
    take: Callable[[socket.socket], TlsEnd]
    counters: Counters


def engine() -> ComparedSide:
    """Return the engine of this package, with counters that start at zero."""
    namespace = Namespace()
    # Counters that the kernel does not have are listed only if they are not zero.
    kernel_counters = namespace.tls_stat().keys()

    def take(sock: socket.socket) -> TlsEnd:
        return KtlsSocket(sock, namespace=namespace)

    def counters() -> dict[str, int]:
        counted = namespace.tls_stat()
        return {name: counted[name] for name in kernel_counters}

    return ComparedSide("engine", take, counters)


def kernel() -> ComparedSide:
    """Return the kernel of this host, whose counters other programs may change, too."""
    return ComparedSide("kernel", KernelSocket.over, _kernel_tls.counters)
