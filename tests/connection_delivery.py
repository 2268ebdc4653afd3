"""Writes of connections that are closed before everything is sent, and checks of the process."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.support import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ktls_fast import Connection

MIB = 1 << 20


def send_until_full(conn: Connection, data: bytes) -> bytes:
    """Send ``data``, which is too much for TCP, without waiting; return the part accepted."""
    conn.setblocking(False)
    taken = 0
    with suppress(BlockingIOError):
        while taken < len(data):
            taken += conn.send(data[taken : taken + MIB])
    assert conn.unsent > 0
    return data[:taken]


def fail_after_sending(conn: Connection, data: bytes, error: type[BaseException]) -> None:
    """Send ``data``, and leave the block of the connection by ``error``."""
    with conn:
        if data:
            conn.sendall(data)
        raise error


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until ``holds`` returns True, up to the deadline; return its last result."""
    end = time.monotonic() + DEADLINE
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


def open_descriptors() -> int:
    """Return the number of open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def threads_named(name: str) -> int:
    """Return the number of threads of this process with a name."""
    names = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            names += (task / "comm").read_text().strip() == name
    return names
