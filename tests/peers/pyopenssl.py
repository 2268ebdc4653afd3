"""pyOpenSSL as a peer: a newer OpenSSL than that of the interpreter, with more of its functions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from OpenSSL import SSL


@contextmanager
def pyopenssl_client(
    sock: socket.socket, pems: Path, version: str = "TLS1_3"
) -> Iterator[SSL.Connection]:
    """Yield a ``Connection`` of pyOpenSSL after its handshake as a client."""
    context = _context(version)
    context.load_verify_locations(str(pems / "roots.pem"))
    with sock:
        yield _shake(context, sock, is_client=True)


@contextmanager
def pyopenssl_server(
    sock: socket.socket, pems: Path, version: str = "TLS1_3"
) -> Iterator[SSL.Connection]:
    """Yield a ``Connection`` of pyOpenSSL after its handshake as a server."""
    context = _context(version)
    context.use_certificate_file(str(pems / "server.pem"))
    context.use_privatekey_file(str(pems / "server.key"))
    with sock:
        yield _shake(context, sock, is_client=False)


def _context(version: str) -> SSL.Context:
    library = pytest.importorskip("OpenSSL.SSL", reason="pyOpenSSL is not installed")
    context: SSL.Context = library.Context(library.TLS_METHOD)
    number = getattr(library, f"{version}_VERSION")
    context.set_min_proto_version(number)
    context.set_max_proto_version(number)
    return context


def _shake(context: SSL.Context, sock: socket.socket, *, is_client: bool) -> SSL.Connection:
    from OpenSSL import SSL

    sock.settimeout(None)  # pyOpenSSL does not wait on a socket with a timeout
    conn = SSL.Connection(context, sock)
    if is_client:
        conn.set_tlsext_host_name(b"localhost")
        conn.set_connect_state()
    else:
        conn.set_accept_state()
    conn.do_handshake()
    return conn
