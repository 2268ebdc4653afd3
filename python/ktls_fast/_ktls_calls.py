"""Calls of a kernel TLS socket that a signal handler cannot come between."""

import operator
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ._core import CryptoInfo, KtlsSocket
from .constants import SOL_TLS, TLS_SET_RECORD_TYPE

if TYPE_CHECKING:
    from ._kernel_socket import KernelSocket

__all__ = ["control_record", "option_value", "raw_calls", "run_all"]


def control_record(record_type: int, data: bytes) -> tuple[Any, ...]:
    """Return the arguments of ``sendmsg`` for a control record, which is sent without waiting."""
    ancillary = (SOL_TLS, TLS_SET_RECORD_TYPE, bytes([record_type]))
    return [data], [ancillary], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


def raw_calls(sock: "KtlsSocket | KernelSocket") -> AbstractContextManager[Any]:
    """Return the object whose methods are calls of C that never wait."""
    if isinstance(sock, socket.socket):
        from ._kernel_socket import non_blocking

        return non_blocking(sock)
    return nullcontext(sock)


def option_value(raw: object, info: CryptoInfo) -> CryptoInfo | bytes:
    """Return a key as the socket of C takes it."""
    return bytes(info) if isinstance(raw, socket.socket) else info


def run_all(*calls: Callable[[], object]) -> None:
    """Run ``calls`` in order, up to the first that fails.

    All of this happens inside one call of C. So no signal handler can raise an exception between
    the KeyUpdate and its key, after which nobody would know which key is in use.
    """
    list(map(operator.call, calls))
