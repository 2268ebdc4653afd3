"""``openssl s_client`` and ``openssl s_server`` as child processes, and their input.

Both take a command only as the first byte of a ``read``: a key press must be acknowledged before
anything else is written. s_client works with a pipe as well as with a terminal. Its option
``-brief`` leaves only the data on its output; ``-quiet`` and ``-ign_eof`` would disable commands.
s_server prints its acknowledgement through a C stream, which is unbuffered on a terminal only, and
mixes it with the data. Therefore our data consists of digits that its messages do not contain.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.peers.process import ProgramProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ktls_fast import Connection

TLS12_SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}
"""The names of TLS 1.2 suites in the RFCs, by OpenSSL's names."""

_NOT_DATA = bytes(set(range(256)) - set(b"23456789"))


@contextmanager
def s_client(openssl: str, port: int, pems: Path, *options: str) -> Iterator[ProgramProcess]:
    """Start a client that trusts the test authority; yield it after its handshake."""
    arguments = [openssl, "s_client", "-brief", "-connect", f"127.0.0.1:{port}"]
    arguments += ["-CAfile", str(pems / "roots.pem"), "-servername", "localhost"]
    arguments += ["-verify_return_error", *options]
    with ProgramProcess(arguments) as client:
        client.errors.until(b"CONNECTION ESTABLISHED\n")
        yield client


def press_at_client(client: ProgramProcess, key: str) -> None:
    """Press ``k`` (KeyUpdate) or ``K`` (with a request), and wait until s_client has read it."""
    client.write(key.encode() + b"\n")
    client.errors.until(b"KEYUPDATE\n")


def exchange(client: ProgramProcess, data: bytes) -> None:
    """Send ``data`` to our server, and check its echo."""
    client.write(data)
    assert client.output.exactly(len(data)) == data


@contextmanager
def s_server(openssl: str, pems: Path, *options: str) -> Iterator[tuple[ProgramProcess, int]]:
    """Start a server for ``localhost`` that accepts one connection; yield it and its port."""
    arguments = [openssl, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1"]
    arguments += ["-cert", str(pems / "server.pem"), "-key", str(pems / "server.key"), *options]
    with ProgramProcess(arguments, terminal=True, keep=_data_only) as server:
        server.output.until(b"ACCEPT 127.0.0.1:")
        yield server, int(server.output.until(b"\n"))


def await_handshake(server: ProgramProcess) -> str:
    """Wait for the handshake, and return s_server's name of the cipher suite."""
    server.output.until(b"CIPHER is ")
    return server.output.until(b"\n").strip().decode()


def press_at_server(server: ProgramProcess, key: str) -> None:
    """Press ``k`` or ``K`` at s_server, which sends its KeyUpdate at once."""
    server.write(key.encode() + b"\n")
    server.output.until(b"SSL_do_handshake -> 1")


def exchange_with_server(conn: Connection, server: ProgramProcess, data: bytes) -> None:
    """Send ``data`` in both directions between our client and s_server."""
    conn.sendall(data)
    assert server.output.exactly(len(data)) == data
    server.write(data)
    received = bytearray()
    while len(received) < len(data) and (piece := conn.read()):
        received += piece
    assert received == data


def _data_only(output: bytes) -> bytes:
    return output.translate(None, _NOT_DATA)
