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
    """A client that trusts the test authority, and is as strict as Python 3.13 is by default."""
    context = ssl.create_default_context(cafile=pems / "roots.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.minimum_version = context.maximum_version = version
    return context


def server_context(pems: Path, version: ssl.TLSVersion = TLS13) -> ssl.SSLContext:
    """A server for ``localhost``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pems / "server.pem", pems / "server.key")
    context.minimum_version = context.maximum_version = version
    return context


def ssl_connect(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """The standard library's client, after its handshake; a FIN alone is an error to it."""
    return context.wrap_socket(
        dial(port), server_hostname="localhost", session=session, suppress_ragged_eofs=False
    )


def ssl_serve(
    handle: Callable[[ssl.SSLSocket], T], context: ssl.SSLContext, connections: int = 1
) -> tuple[int, Future[list[T]]]:
    """The standard library's server: its port, and what ``handle`` returned for each connection."""
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
    """Everything until close_notify."""
    return b"".join(iter(lambda: sock.read(65536), b""))


def ssl_swap(sock: ssl.SSLSocket, outgoing: bytes) -> bytes:
    """Send and receive at once, and return what came.

    One thread does both, since the module's sockets are not for two; so it ends by itself only
    when the peer says that it is done.
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
    """What stands for a large transfer in a comparison."""
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
    """Take what is there; True at the peer's close_notify."""
    try:
        while data := sock.recv(65536):
            received += data
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    return True
