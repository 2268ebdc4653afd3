"""The choice of a TLS socket's backend: the engine of this package or the host's kernel.

The choice is made by a function and not by an argument of :class:`KtlsSocket`. A class whose
constructor returns an object of another class breaks ``isinstance`` and type checkers, and
surprises its readers. An abstract base class of both would keep ``isinstance`` true. However, it
would repeat every method of the two, whose results differ where the kernel differs, and one name
would still stand for two classes with different costs.
"""

import errno
import os
import warnings
from typing import TYPE_CHECKING, Final, Literal

from ._core import (
    Connection,
    KtlsSocket,
    Namespace,
    OffloadQueue,
    _answer_backend_keyword,
    _answer_into_ktls,
)
from ._lazy import LazyModule
from ._messages import quoted
from .errors import KtlsError

if TYPE_CHECKING:
    import socket

    from . import _into_ktls, _kernel_as_ktls_socket, _kernel_socket
    from ._ktls_keys import KtlsKeys
else:
    socket = LazyModule("socket")
    # They need Linux, and few programs need them.
    _kernel_socket = LazyModule("ktls_fast._kernel_socket")
    _into_ktls = LazyModule("ktls_fast._into_ktls")
    _kernel_as_ktls_socket = LazyModule("ktls_fast._kernel_as_ktls_socket")

__all__ = ["BACKENDS", "VARIABLE", "Backend", "ktls_socket"]

Backend = Literal["auto", "engine", "kernel"]

BACKENDS: Final = ("auto", "engine", "kernel")

VARIABLE: Final = "KTLS_FAST_BACKEND"
"""Name of the environment variable that sets the meaning of "auto" in this process."""


def ktls_socket(
    sock: "socket.socket",
    backend: Backend = "auto",
    *,
    namespace: Namespace | None = None,
    device: OffloadQueue | None = None,
    record_limit: int | None = None,
) -> "KtlsSocket | _kernel_socket.KernelSocket":
    """Turn ``sock`` into a TLS socket of the engine or of the host's kernel; ``sock`` is detached.

    Both classes have the same methods, results and exceptions; ``docs/kernel-differences.md``
    lists the differences. The attribute ``backend`` names the chosen one.

    :param backend: ``"engine"`` returns a :class:`KtlsSocket`, ``"kernel"`` a
        :class:`KernelSocket`, whose calls are the kernel's. ``"auto"`` uses the value of the
        environment variable ``KTLS_FAST_BACKEND``. If that is not set, it chooses the kernel for a
        TCP socket without ``namespace`` if the kernel has TLS and can rekey, and otherwise the
        engine. The kernel is tried once in a process.
    :param namespace: the counters to use, for the engine only. See :class:`KtlsSocket`.
    :param device: the offload queue to use; ``"auto"`` then chooses the engine.
    :param record_limit: the number of records to seal per key; ``"auto"`` then chooses the engine.
    :raises ValueError: ``backend`` is unknown, or ``sock`` is closed.
    :raises TypeError: ``backend`` is not a str, or ``sock`` is not a socket.
    :raises KtlsError: with the backend ``"kernel"``: ENOENT if the kernel has no TLS, EINVAL for an
        argument that only the engine takes. ``sock`` is not detached.
    """
    if _chooses_kernel(sock, backend, namespace, device, record_limit):
        return _kernel_socket.KernelSocket.over(sock)
    return KtlsSocket(sock, namespace=namespace, device=device, record_limit=record_limit)


def _check_engine_only(backend: str, device: OffloadQueue | None, record_limit: int | None) -> None:
    """Raise an error if the backend is the kernel, as only the engine takes these arguments."""
    if _check_backend("backend", backend) != "kernel":
        return
    if device is not None:
        raise KtlsError(errno.EINVAL, "the kernel's TLS takes no device")
    msg = f"the kernel's TLS takes no record_limit, but {record_limit} was given"
    raise KtlsError(errno.EINVAL, msg)


def _chooses_kernel(
    sock: object,
    backend: str,
    namespace: Namespace | None,
    device: OffloadQueue | None,
    record_limit: int | None,
) -> bool:
    if device is not None or record_limit is not None:
        _check_engine_only(backend, device, record_limit)
        backend = "engine"
    chosen = _setting(backend)
    if chosen == "kernel":
        _require_kernel(namespace)
        return True
    return chosen == "auto" and namespace is None and _kernel_suits(sock)


def _setting(backend: str) -> str:
    """Return ``backend``, or what the environment sets for ``"auto"``."""
    chosen = _check_backend("backend", backend)
    if chosen == "auto":
        return _check_backend(VARIABLE, os.environ.get(VARIABLE, "auto"))
    return chosen


def _check_backend(name: str, backend: object) -> str:
    if not isinstance(backend, str):
        msg = f"{name} must be a str, not {type(backend).__name__}"
        raise TypeError(msg)
    if backend not in BACKENDS:
        msg = f"{name} must be 'auto', 'engine' or 'kernel', not {quoted(backend)}"
        raise ValueError(msg)
    return backend


def _require_kernel(namespace: Namespace | None) -> None:
    if namespace is not None:
        msg = 'the backend "kernel" has counters per network namespace; pass no namespace'
        raise KtlsError(errno.EINVAL, msg)
    from ._kernel_tls import require_ulp

    require_ulp()


def _kernel_suits(sock: object) -> bool:
    """Return True if the kernel can do for ``sock`` everything that the engine can."""
    from ._kernel_tls import can_rekey

    if not isinstance(sock, socket.socket) or sock.type != socket.SOCK_STREAM:
        return False
    return sock.family in (socket.AF_INET, socket.AF_INET6) and can_rekey()


def _handle_backend_keyword(
    sock: "socket.socket",
    backend: Backend,
    namespace: Namespace | None,
    device: OffloadQueue | None,
    record_limit: int | None,
) -> "KtlsSocket | _kernel_as_ktls_socket.KernelSocketAsKtlsSocket":
    """Handle the deprecated call ``KtlsSocket(sock, backend=...)``; to be removed in 0.3.

    The result is an instance of :class:`KtlsSocket` for ``isinstance``, also if it is the kernel's.
    """
    msg = (
        "KtlsSocket always uses the engine: leave backend= out,"
        " or call ktls_fast.ktls_socket(sock, backend)"
    )
    warnings.warn(msg, DeprecationWarning, stacklevel=2)
    if _chooses_kernel(sock, backend, namespace, device, record_limit):
        return _kernel_as_ktls_socket.KernelSocketAsKtlsSocket.over(sock)
    return KtlsSocket(sock, namespace=namespace, device=device, record_limit=record_limit)


def _handle_into_ktls(
    conn: Connection, backend: str
) -> "tuple[KtlsSocket | _kernel_socket.KernelSocket, KtlsKeys]":
    """Handle the call ``conn.into_ktls(backend)``."""
    with _into_ktls.tcp_socket(conn) as tcp:
        if not _chooses_kernel(tcp, backend, None, None, None):
            return _into_ktls.over_engine(conn)
        install = _into_ktls.KernelInstallation(tcp)
        try:
            return _into_ktls.over_kernel(conn, install)
        except OSError:
            is_open = conn.fileno() >= 0
            if not install.was_asked or not is_open or _setting(backend) == "kernel":
                raise
        return _into_ktls.over_engine(conn)


_answer_backend_keyword(_handle_backend_keyword)
_answer_into_ktls(_handle_into_ktls)
