"""Threads and sockets with a deadline, and data that is safe for all peers."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE: Final = 60.0
"""Seconds after which a wait fails. No successful test waits that long."""

SUITES: Final = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
}
"""The supported TLS 1.3 cipher suites, by number."""

_OCTAL: Final = bytes(b"23456789"[byte & 7] for byte in range(256))

T = TypeVar("T")


def start(call: Callable[[], T]) -> Future[T]:
    """Run ``call`` in a thread, and return a future of its result."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def listener() -> socket.socket:
    """Return a listening socket on a free port of 127.0.0.1."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=64)
    sock.settimeout(DEADLINE)
    return sock


def port_of(sock: socket.socket) -> int:
    """Return the local port of a socket."""
    port: int = sock.getsockname()[1]
    return port


def dial(port: int) -> socket.socket:
    """Connect to ``port`` on 127.0.0.1, without Nagle's algorithm and with a timeout."""
    return _prompt(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))


def answer(listening: socket.socket) -> socket.socket:
    """Accept a connection, without Nagle's algorithm and with a timeout."""
    sock, _ = listening.accept()
    sock.settimeout(DEADLINE)
    return _prompt(sock)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection."""
    with listener() as listening:
        near = dial(port_of(listening))
        return near, answer(listening)


def fill(sock: socket.socket) -> int:
    """Send until TCP has no room, and return the number of bytes."""
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += sock.send(bytes(1 << 16))
    return filled


def octal(size: int, seed: int = 0) -> bytes:
    """Return random digits from 2 to 9, which no program takes for a command or a line end."""
    return random.Random(seed).randbytes(size).translate(_OCTAL)


def _prompt(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
