"""MSG_WAITALL on a kernel socket with a timeout.

Python makes such a socket non-blocking and polls before the call. The kernel's receive then returns
what has arrived and does not wait for the rest. The functions of this module receive the rest by
further calls. They stop where a single blocking call of the kernel would stop: before a record of
another type, at the end of the stream, at an error and after the timeout.
"""

import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from ._kernel_poll import poll
from .constants import SOL_TLS

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["must_wait_for_all", "receive_all"]

Message: TypeAlias = tuple[int, list[tuple[int, int, bytes]], int, object]
"""The number of bytes received, control messages, flags, and address."""

DATA = 23
RECORD_TYPE_SPACE = 24
"""Space, in bytes, for the control message that carries a record's type."""


def must_wait_for_all(sock: socket.socket, flags: object) -> bool:
    """Return True if a receive with ``flags`` has to wait for more data than Python waits for."""
    once = socket.MSG_DONTWAIT | socket.MSG_PEEK
    waits = isinstance(flags, int) and flags & socket.MSG_WAITALL and not flags & once
    return bool(waits and sock.gettimeout() and sock.fileno() >= 0)


def receive_all(
    sock: socket.socket,
    receive: Callable[["Iterable[Buffer]", int, int], Message],
    buffers: "Iterable[Buffer]",
    room: int,
    flags: int,
) -> Message:
    """Fill ``buffers`` by calls of ``receive``, which is ``recvmsg_into`` of ``sock``.

    Return the sum of the sizes, all flags, and the control messages and address of the first call.
    """
    rest = [memoryview(buffer).cast("B") for buffer in buffers]
    end = time.monotonic() + (sock.gettimeout() or 0)
    got, control, seen, address = receive(rest, room, flags)
    rest = _skip(rest, got)
    while got and rest and not _has_control_record(control) and _wait_for_data(sock, end):
        more, _, flags_seen, _ = receive(rest, room, flags | socket.MSG_DONTWAIT)
        got, seen, rest = got + more, seen | flags_seen, _skip(rest, more)
    return got, control, seen, address


def _skip(buffers: list[memoryview], size: int) -> list[memoryview]:
    """Return the parts of the buffers that follow the first ``size`` bytes."""
    left = []
    for buffer in buffers:
        if len(buffer) > size:
            left.append(buffer[size:])
        size = max(0, size - len(buffer))
    return left


def _wait_for_data(sock: socket.socket, end: float) -> bool:
    """Wait for more application data; return False if the receive must stop.

    The next receive of the caller then reports the reason.
    """
    while not poll(sock, select.POLLIN, 0) & (select.POLLERR | select.POLLHUP):
        try:
            data, control, _, _ = socket.socket.recvmsg(
                sock, 1, RECORD_TYPE_SPACE, socket.MSG_PEEK | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            left = end - time.monotonic()
            if left <= 0 or not poll(sock, select.POLLIN, left):
                return False
        except OSError:
            return False
        else:
            return bool(data) and not _has_control_record(control)
    return False


def _has_control_record(control: list[tuple[int, int, bytes]]) -> bool:
    return any(level == SOL_TLS and value[:1] != bytes([DATA]) for level, _, value in control)
