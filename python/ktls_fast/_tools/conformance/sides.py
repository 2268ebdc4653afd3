"""The two that are compared: how each takes over a socket, and what it counted."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ktls_fast import KtlsSocket, Namespace, _kernel_tls
from ktls_fast._kernel_socket import KernelSocket

__all__ = ["Counters", "End", "Side", "engine", "kernel"]

End: TypeAlias = KtlsSocket | KernelSocket
Counters: TypeAlias = Callable[[], dict[str, int]]


@dataclass(frozen=True, slots=True)
class Side:
    """What makes the ends of a scenario."""

    name: str
    take: Callable[[socket.socket], End]
    counters: Counters


def engine() -> Side:
    """This package's engine, counting from zero."""
    namespace = Namespace()
    # A counter that the kernel does not have is listed only once it is not zero.
    kernel_counters = namespace.tls_stat().keys()

    def take(sock: socket.socket) -> End:
        return KtlsSocket(sock, namespace=namespace)

    def counters() -> dict[str, int]:
        counted = namespace.tls_stat()
        return {name: counted[name] for name in kernel_counters}

    return Side("engine", take, counters)


def kernel() -> Side:
    """The host's kernel, whose counters others may move as well."""
    return Side("kernel", KernelSocket.over, _kernel_tls.counters)
