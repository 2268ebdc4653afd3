"""A small HTTP/1.1 server for curl, on our connections."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ktls_fast import Connection, ServerConfig
from tests.peers.support import answer, listener, octal, port_of, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from concurrent.futures import Future


@functools.cache
def body(size: int) -> bytes:
    """Return the response body of ``GET /size``."""
    return octal(size, seed=size)


@contextmanager
def http_server(config: ServerConfig) -> Iterator[int]:
    """Serve each connection in a thread; yield the port, and check that no connection failed."""
    listening = listener()
    served: list[Future[None]] = []
    accepting = start(lambda: _accept(listening, config, served))
    try:
        yield port_of(listening)
    finally:
        # Wake up accept, which then fails; closing would not wake it up.
        listening.shutdown(2)
        accepting.result(1)
        listening.close()
    for connection in served:
        connection.result(20)


def _accept(listening: socket.socket, config: ServerConfig, served: list[Future[None]]) -> None:
    while True:
        try:
            sock = answer(listening)
        except OSError:
            return
        served.append(start(functools.partial(_serve, sock, config)))


def _serve(sock: socket.socket, config: ServerConfig) -> None:
    with Connection.server(sock, config) as conn:
        waiting = b""
        while received := conn.read():
            waiting += received
            while b"\r\n\r\n" in waiting:
                waiting = _respond(conn, waiting)


def _respond(conn: Connection, waiting: bytes) -> bytes:
    """Answer the first request, and return the data that follows it."""
    head, _, rest = waiting.partition(b"\r\n\r\n")
    method, path, _ = head.split(b"\r\n")[0].split()
    length = _content_length(head)
    while len(rest) < length:
        rest += conn.read(65536)
    content = (
        rest[:length] if method in (b"POST", b"PUT") else body(int(path[1:].partition(b"?")[0]))
    )
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
    conn.sendall(content)
    return rest[length:]


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
