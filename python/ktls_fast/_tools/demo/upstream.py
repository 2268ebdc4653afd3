"""The upstream of the demo: an HTTP server without TLS that echoes the data of a request."""

import contextlib
import hashlib
import socket
import threading
from multiprocessing.connection import Connection as Pipe

from .job import HOST
from .payload import HEAD_END, MAX_HEAD

__all__ = ["serve"]

BUFFER = 256 * 2**10
TIMEOUT = 60.0


def serve(pipe: Pipe) -> None:
    """Serve until the process is killed.

    Send the port to ``pipe``, and then the number and the digest of each request.
    """
    pipe_lock = threading.Lock()
    with socket.create_server((HOST, 0), backlog=128) as listener:
        pipe.send(listener.getsockname()[1])
        while True:
            client, _ = listener.accept()
            threading.Thread(
                target=_handle_request, args=(client, pipe, pipe_lock), daemon=True
            ).start()


def _handle_request(client: socket.socket, pipe: Pipe, pipe_lock: threading.Lock) -> None:
    with contextlib.suppress(OSError), client:
        client.settimeout(TIMEOUT)
        head, body = _read_head(client)
        number, size = _parse(head)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        digest = _echo(client, body, size)
        with pipe_lock:
            pipe.send((number, digest))
        while client.recv(BUFFER):  # the client closes the connection first
            pass


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while HEAD_END not in data:
        more = client.recv(BUFFER)
        if not more or len(data) > MAX_HEAD + BUFFER:
            msg = "no head"
            raise ConnectionAbortedError(msg)
        data += more
    head, _, body = data.partition(HEAD_END)
    return head, body


def _parse(head: bytes) -> tuple[int, int]:
    """Return the number in ``PUT /NUMBER`` and the length of the body."""
    first, *fields = head.decode("latin-1").split("\r\n")
    values = dict(field.lower().split(": ", 1) for field in fields)
    return int(first.split(" ")[1].strip("/")), int(values["content-length"])


def _echo(client: socket.socket, body: bytes, size: int) -> str:
    """Echo the body and return its digest.

    Data is sent before more is read, so that memory stays bounded if the client reads slowly.
    """
    digest = hashlib.sha256(body)
    client.sendall(body)
    left = size - len(body)
    buffer = memoryview(bytearray(BUFFER))
    while left:
        count = client.recv_into(buffer, min(left, BUFFER))
        if not count:
            msg = "the client ended early"
            raise ConnectionAbortedError(msg)
        digest.update(buffer[:count])
        client.sendall(buffer[:count])
        left -= count
    return digest.hexdigest()
