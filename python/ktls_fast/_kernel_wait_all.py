"""MSG_WAITALL on a kernel socket with a timeout.

Python makes such a socket non-blocking and polls before the call, so that the kernel's receive
takes what is there and does not wait for the rest. Here further calls receive the rest, and stop
where the kernel's one call would: at another type of record, at the end, at an error and after the
timeout.
"""

import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from .constants import SOL_TLS

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._kernel_socket import KernelSocket

__all__ = ["receive_all", "wants_all"]

Message: TypeAlias = tuple[int, list[tuple[int, int, bytes]], int, object]
"""Bytes received, control messages, flags, address."""

DATA = 23
TYPE_ROOM = 24
"""Room for the control message that tells a record's type."""


def wants_all(sock: socket.socket, flags: object) -> bool:
    """Whether a receive with ``flags`` is to wait for more than the system waits for."""
    once = socket.MSG_DONTWAIT | socket.MSG_PEEK
    waits = isinstance(flags, int) and flags & socket.MSG_WAITALL and not flags & once
    return bool(waits and sock.gettimeout() and sock.fileno() >= 0)


def receive_all(
    sock: "KernelSocket",
    receive: Callable[["Iterable[Buffer]", int, int], Message],
    buffers: "Iterable[Buffer]",
    room: int,
    flags: int,
) -> Message:
    """Fill ``buffers`` by ``receive``, which is ``recvmsg_into`` of ``sock``."""
    rest = [memoryview(buffer).cast("B") for buffer in buffers]
    end = time.monotonic() + (sock.gettimeout() or 0)
    got, control, seen, address = receive(rest, room, flags)
    rest = _behind(rest, got)
    while got and rest and not _is_control(control) and _data_follow(sock, end):
        more, _, flags_seen, _ = receive(rest, room, flags | socket.MSG_DONTWAIT)
        got, seen, rest = got + more, seen | flags_seen, _behind(rest, more)
    return got, control, seen, address


def _behind(buffers: list[memoryview], size: int) -> list[memoryview]:
    """What is left of the buffers behind ``size`` bytes."""
    left = []
    for buffer in buffers:
        if len(buffer) > size:
            left.append(buffer[size:])
        size = max(0, size - len(buffer))
    return left


def _data_follow(sock: "KernelSocket", end: float) -> bool:
    """Wait for more data; False where the call ends, and the next one tells why."""
    while not sock.poll(select.POLLIN, 0) & (select.POLLERR | select.POLLHUP):
        try:
            data, control, _, _ = socket.socket.recvmsg(
                sock, 1, TYPE_ROOM, socket.MSG_PEEK | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            left = end - time.monotonic()
            if left <= 0 or not sock.poll(select.POLLIN, left):
                return False
        except OSError:
            return False
        else:
            return bool(data) and not _is_control(control)
    return False


def _is_control(control: list[tuple[int, int, bytes]]) -> bool:
    return any(level == SOL_TLS and value[:1] != bytes([DATA]) for level, _, value in control)
