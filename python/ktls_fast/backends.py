"""Who carries a ``KtlsSocket``: the engine of this package, or the TLS of the host's kernel."""

import errno
import os
import socket
from typing import TYPE_CHECKING, Final

from ._core import Namespace
from .errors import KtlsError
from .kernel_tls import can_rekey, require_ulp
from .quoted import quoted

if TYPE_CHECKING:
    from .kernel_socket import KernelSocket

__all__ = ["BACKENDS", "VARIABLE", "kernel_socket"]

BACKENDS: Final = ("auto", "engine", "kernel")

VARIABLE: Final = "KTLS_FAST_BACKEND"
"""Environment variable: what "auto" means in this process."""


def kernel_socket(
    sock: socket.socket, backend: str, namespace: Namespace | None
) -> "KernelSocket | None":
    """Take over ``sock`` if the kernel is to carry it; None leaves it, for the engine.

    :raises ValueError: there is no such backend.
    :raises KtlsError: EINVAL for a namespace, ENOENT without the tls ULP; ``sock`` is as before.
    """
    chosen = _checked("backend", backend)
    if chosen == "auto":
        chosen = _checked(VARIABLE, os.environ.get(VARIABLE, "auto"))
    if chosen == "kernel":
        _check_kernel(namespace)
    elif chosen == "engine" or namespace is not None or not _suits_the_kernel(sock):
        return None
    from .kernel_socket import KernelSocket  # Linux has what it needs, and few need it

    return KernelSocket.over(sock)


def _checked(name: str, backend: str) -> str:
    if backend not in BACKENDS:
        msg = f"{name} must be 'auto', 'engine' or 'kernel', not {quoted(backend)}"
        raise ValueError(msg)
    return backend


def _check_kernel(namespace: Namespace | None) -> None:
    if namespace is not None:
        msg = 'the backend "kernel" counts for its network namespace only; give no namespace'
        raise KtlsError(errno.EINVAL, msg)
    require_ulp()


def _suits_the_kernel(sock: object) -> bool:
    """Whether the kernel does for ``sock`` all that the engine would do."""
    if not isinstance(sock, socket.socket) or sock.type != socket.SOCK_STREAM:
        return False
    return sock.family in (socket.AF_INET, socket.AF_INET6) and can_rekey()
