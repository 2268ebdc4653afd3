"""The ``ssl`` module of the standard library as a peer."""

from __future__ import annotations

import hashlib
import select
import ssl
from typing import TYPE_CHECKING, TypeVar

from tests.peers.support import DEADLINE, answer, dial, listener, port_of, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

T = TypeVar("T")

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def client_context(pems: Path, version: ssl.TLSVersion = TLS13) -> ssl.SSLContext:
    """Return a client that trusts the test authority, and is as strict as Python 3.13."""
    context = ssl.create_default_context(cafile=pems / "roots.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.minimum_version = context.maximum_version = version
    return context


def server_context(pems: Path, version: ssl.TLSVersion = TLS13) -> ssl.SSLContext:
    """Return the context of a server for ``localhost``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pems / "server.pem", pems / "server.key")
    context.minimum_version = context.maximum_version = version
    return context


def ssl_connect(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """Connect a client of the standard library, for which a FIN without close_notify is an error.

    Return it after its handshake.
    """
    return context.wrap_socket(
        dial(port), server_hostname="localhost", session=session, suppress_ragged_eofs=False
    )


def ssl_serve(
    handle: Callable[[ssl.SSLSocket], T], context: ssl.SSLContext, connections: int = 1
) -> tuple[int, Future[list[T]]]:
    """Start a server of the standard library; return its port, and a future of its results.

    The results are those of ``handle`` for each connection.
    """
    listening = listener()

    def one() -> T:
        sock = answer(listening)
        with context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as wrapped:
            return handle(wrapped)

    def run() -> list[T]:
        with listening:
            return [one() for _ in range(connections)]

    return port_of(listening), start(run)


def ssl_read_all(sock: ssl.SSLSocket) -> bytes:
    """Read everything up to close_notify."""
    return b"".join(iter(lambda: sock.read(65536), b""))


def ssl_swap(sock: ssl.SSLSocket, outgoing: bytes) -> bytes:
    """Send and receive at the same time, until the peer ends; return the data received.

    A single thread does both, since two threads may not use a socket of the module.
    """
    unsent, received, ended = memoryview(outgoing), bytearray(), False
    sock.setblocking(False)
    while unsent or not ended:
        _await_progress(sock, writing=bool(unsent))
        unsent = unsent[_send_some(sock, unsent) :]
        ended = _receive_some(sock, received)
    sock.settimeout(DEADLINE)
    sock.unwrap().close()
    return bytes(received)


def digest(data: bytes) -> str:
    """Return the SHA-256 of ``data``, for comparisons of large data."""
    return hashlib.sha256(data).hexdigest()


def _await_progress(sock: ssl.SSLSocket, *, writing: bool) -> None:
    ready, writable, _ = select.select([sock], [sock] if writing else [], [], DEADLINE)
    assert ready or writable, f"no progress in {DEADLINE} seconds"


def _send_some(sock: ssl.SSLSocket, unsent: memoryview) -> int:
    try:
        return sock.send(unsent[:65536]) if unsent else 0
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return 0


def _receive_some(sock: ssl.SSLSocket, received: bytearray) -> bool:
    """Receive what has arrived; return True at the peer's close_notify."""
    try:
        while data := sock.recv(65536):
            received += data
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    return True
