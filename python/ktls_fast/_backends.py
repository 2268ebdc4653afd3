"""Who carries a TLS socket: the engine of this package, or the TLS of the host's kernel.

The choice is a function and not an argument of :class:`KtlsSocket`: a class whose constructor
returns an object of another class breaks ``isinstance``, type checkers and every reader's
expectation. An abstract base class of both was the other way to keep ``isinstance`` true. It would
have to repeat each method of the two, whose results differ where the kernel's differ, and a
``KtlsSocket`` would still be two classes with different costs.
"""

import errno
import os
import warnings
from typing import TYPE_CHECKING, Final, Literal

from ._core import KtlsSocket, Namespace, OffloadQueue, _answer_backend_keyword
from ._messages import quoted
from .errors import KtlsError

if TYPE_CHECKING:
    import socket

    from ._kernel_socket import KernelSocket

__all__ = ["BACKENDS", "VARIABLE", "Backend", "ktls_socket"]

Backend = Literal["auto", "engine", "kernel"]

BACKENDS: Final = ("auto", "engine", "kernel")

VARIABLE: Final = "KTLS_FAST_BACKEND"
"""Environment variable: what "auto" means in this process."""


def ktls_socket(
    sock: "socket.socket",
    backend: Backend = "auto",
    *,
    namespace: Namespace | None = None,
    device: OffloadQueue | None = None,
    record_limit: int | None = None,
) -> "KtlsSocket | KernelSocket":
    """Take over ``sock`` (it is detached) as a TLS socket of the engine or of the host's kernel.

    Both classes have the same methods, results and exceptions; ``docs/kernel-differences.md``
    lists where they differ, and the attribute ``backend`` tells which one it is.

    :param backend: ``"engine"`` returns a :class:`KtlsSocket`, ``"kernel"`` a
        :class:`KernelSocket`, whose calls are the kernel's. ``"auto"`` is what the environment
        variable ``KTLS_FAST_BACKEND`` says. Without it, the kernel carries a TCP socket without
        ``namespace`` where it has TLS and can rekey, which is tried once in a process, and the
        engine all others.
    :param namespace: as for :class:`KtlsSocket`; the kernel has its own.
    :param device: as for :class:`KtlsSocket`; with one, ``"auto"`` is the engine.
    :param record_limit: as for :class:`KtlsSocket`; with one, ``"auto"`` is the engine.
    :raises ValueError: there is no such backend, or ``sock`` is closed.
    :raises TypeError: ``backend`` is no str, or ``sock`` no socket.
    :raises KtlsError: for ``"kernel"``, and ``sock`` is not detached: ENOENT where the kernel has
        no TLS, EINVAL for an argument that only the engine takes.
    """
    if device is not None or record_limit is not None:
        _check_engine_only(backend, device, record_limit)
        backend = "engine"
    if _is_for_the_kernel(sock, backend, namespace):
        from ._kernel_socket import KernelSocket  # Linux has what it needs, and few need it

        return KernelSocket.over(sock)
    return KtlsSocket(sock, namespace=namespace, device=device, record_limit=record_limit)


def _check_engine_only(backend: str, device: OffloadQueue | None, record_limit: int | None) -> None:
    """Refuse the kernel for what only the engine does."""
    if _checked("backend", backend) != "kernel":
        return
    if device is not None:
        raise KtlsError(errno.EINVAL, "the kernel's TLS takes no device")
    msg = f"the kernel's TLS takes no record_limit, and {record_limit} is given"
    raise KtlsError(errno.EINVAL, msg)


def _is_for_the_kernel(sock: object, backend: str, namespace: Namespace | None) -> bool:
    chosen = _checked("backend", backend)
    if chosen == "auto":
        chosen = _checked(VARIABLE, os.environ.get(VARIABLE, "auto"))
    if chosen == "kernel":
        _check_kernel(namespace)
        return True
    return chosen == "auto" and namespace is None and _suits_the_kernel(sock)


def _checked(name: str, backend: object) -> str:
    if not isinstance(backend, str):
        msg = f"{name} must be a str, not {type(backend).__name__}"
        raise TypeError(msg)
    if backend not in BACKENDS:
        msg = f"{name} must be 'auto', 'engine' or 'kernel', not {quoted(backend)}"
        raise ValueError(msg)
    return backend


def _check_kernel(namespace: Namespace | None) -> None:
    if namespace is not None:
        msg = 'the backend "kernel" counts for its network namespace only; give no namespace'
        raise KtlsError(errno.EINVAL, msg)
    from ._kernel_tls import require_ulp

    require_ulp()


def _suits_the_kernel(sock: object) -> bool:
    """Whether the kernel does for ``sock`` all that the engine would do."""
    import socket

    from ._kernel_tls import can_rekey

    if not isinstance(sock, socket.socket) or sock.type != socket.SOCK_STREAM:
        return False
    return sock.family in (socket.AF_INET, socket.AF_INET6) and can_rekey()


def _backend_keyword(
    sock: "socket.socket",
    backend: Backend,
    namespace: Namespace | None,
    device: OffloadQueue | None,
    record_limit: int | None,
) -> "KtlsSocket | KernelSocket":
    """Answer ``KtlsSocket(sock, backend=...)``, which goes with 0.3."""
    msg = (
        "KtlsSocket is always the engine: leave backend= out,"
        " or choose by ktls_fast.ktls_socket(sock, backend)"
    )
    warnings.warn(msg, DeprecationWarning, stacklevel=2)
    return ktls_socket(sock, backend, namespace=namespace, device=device, record_limit=record_limit)


_answer_backend_keyword(_backend_keyword)
