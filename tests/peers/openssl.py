"""``openssl s_client`` and ``openssl s_server`` as children, and how they want to be fed.

Both take a command only as the first byte of one ``read``: a key press must be acknowledged before
anything else is written. For s_client a pipe does as well as a terminal; ``-brief`` leaves only the
data on its output, while ``-quiet`` and ``-ign_eof`` would switch the commands off. s_server prints
its acknowledgement through a C stream, prompt on a terminal only, and mixes it with the data: our
data are digits that its chatter does not have.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.peers.process import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ktls_fast import Connection

TLS12_SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}
"""OpenSSL's names of TLS 1.2 suites, and the RFC's."""

_NOT_DATA = bytes(set(range(256)) - set(b"23456789"))


@contextmanager
def s_client(openssl: str, port: int, pems: Path, *options: str) -> Iterator[Child]:
    """A client that trusts the test authority, after its handshake."""
    arguments = [openssl, "s_client", "-brief", "-connect", f"127.0.0.1:{port}"]
    arguments += ["-CAfile", str(pems / "roots.pem"), "-servername", "localhost"]
    arguments += ["-verify_return_error", *options]
    with Child(arguments) as client:
        client.errors.until(b"CONNECTION ESTABLISHED\n")
        yield client


def press_at_client(client: Child, key: str) -> None:
    """Press ``k`` (KeyUpdate) or ``K`` (with a request) and wait until s_client has seen it."""
    client.write(key.encode() + b"\n")
    client.errors.until(b"KEYUPDATE\n")


def exchange(client: Child, data: bytes) -> None:
    """Have ``data`` echoed by our server."""
    client.write(data)
    assert client.output.exactly(len(data)) == data


@contextmanager
def s_server(openssl: str, pems: Path, *options: str) -> Iterator[tuple[Child, int]]:
    """A server for ``localhost`` that takes one connection, and its port."""
    arguments = [openssl, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1"]
    arguments += ["-cert", str(pems / "server.pem"), "-key", str(pems / "server.key"), *options]
    with Child(arguments, terminal=True, keep=_data_only) as server:
        server.output.until(b"ACCEPT 127.0.0.1:")
        yield server, int(server.output.until(b"\n"))


def await_handshake(server: Child) -> str:
    """What s_server calls the suite, once it has shaken hands."""
    server.output.until(b"CIPHER is ")
    return server.output.until(b"\n").strip().decode()


def press_at_server(server: Child, key: str) -> None:
    """As :func:`press_at_client`; s_server sends its KeyUpdate at once."""
    server.write(key.encode() + b"\n")
    server.output.until(b"SSL_do_handshake -> 1")


def exchange_with_server(conn: Connection, server: Child, data: bytes) -> None:
    """Send ``data`` both ways between our client and s_server."""
    conn.sendall(data)
    assert server.output.exactly(len(data)) == data
    server.write(data)
    received = bytearray()
    while len(received) < len(data) and (piece := conn.read()):
        received += piece
    assert received == data


def _data_only(output: bytes) -> bytes:
    return output.translate(None, _NOT_DATA)
