"""Clients that run in Python: the ssl module, and our own."""

import select
import socket
import ssl
import threading
from pathlib import Path

import ktls_fast

from .job import HOST, Job
from .payload import Echo, Payload

__all__ = ["run_ktls_fast", "run_ssl"]

BUFFER = 64 * 2**10
TIMEOUT = 60.0


def run_ssl(job: Job, payload: Payload, echo: Echo) -> None:
    """Drive an ``ssl.SSLSocket`` in one thread: it may not be used by two at the same time."""
    context = ssl.create_default_context(cafile=job.ca_file)
    raw = socket.create_connection((HOST, job.port), TIMEOUT)
    with raw, context.wrap_socket(raw, server_hostname=job.server_name) as sock:
        sock.sendall(job.head)
        sock.setblocking(False)
        _pump(sock, payload, echo)
        sock.settimeout(TIMEOUT)
        sock.unwrap().close()


def _pump(sock: ssl.SSLSocket, payload: Payload, echo: Echo) -> None:
    pieces = iter(payload)
    unsent = next(pieces, None)
    buffer = memoryview(bytearray(BUFFER))
    while not echo.done:
        sent = 0 if unsent is None else _send(sock, unsent)
        received = _receive(sock, buffer, echo)
        if unsent is not None:
            unsent = unsent[sent:] or next(pieces, None)
        if not sent and not received:
            _wait(sock, writing=unsent is not None)


def _send(sock: ssl.SSLSocket, data: memoryview) -> int:
    try:
        return sock.send(data)
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0


def _receive(sock: ssl.SSLSocket, buffer: memoryview, echo: Echo) -> bool:
    try:
        count = sock.recv_into(buffer)
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    echo.feed(buffer[:count])
    return True


def _wait(sock: ssl.SSLSocket, *, writing: bool) -> None:
    readable, writable, _ = select.select([sock], [sock] if writing else [], [], TIMEOUT)
    if not readable and not writable:
        msg = f"nothing could be sent or received for {TIMEOUT:g} s"
        raise TimeoutError(msg)


def run_ktls_fast(job: Job, payload: Payload, echo: Echo) -> None:
    """Drive a ``ktls_fast.Connection``: one thread writes while the other reads."""
    config = ktls_fast.ClientConfig(Path(job.ca_file).read_bytes(), rekey_bytes=job.rekey_every)
    with ktls_fast.connect(
        (HOST, job.port), config, server_name=job.server_name, timeout=TIMEOUT
    ) as connection:
        writer = threading.Thread(target=_write_all, args=(connection, job, payload), daemon=True)
        writer.start()
        buffer = memoryview(bytearray(BUFFER))
        while not echo.done:
            echo.feed(buffer[: connection.recv_into(buffer)])
        writer.join()


def _write_all(connection: ktls_fast.Connection, job: Job, payload: Payload) -> None:
    connection.sendall(job.head)
    for piece in payload:
        connection.sendall(piece)
