"""Large transfers and orderly ends with the ``ssl`` module, as client and as server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.ours import client_config, connect, read_all, serve_once, server_config
from tests.peers.stdlib import (
    TLS12,
    TLS13,
    client_context,
    digest,
    server_context,
    ssl_connect,
    ssl_read_all,
    ssl_serve,
    ssl_swap,
)
from tests.peers.support import DEADLINE, SUITES, octal, start

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from ktls_fast import Connection

REKEY_BYTES = 1 << 20
UP, DOWN = octal(12_000_000, seed=1), octal(9_000_000, seed=2)
TLS12_SUITES = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
]
CASES = [(TLS13, suite) for suite in SUITES.values()] + [(TLS12, suite) for suite in TLS12_SUITES]


def swap(conn: Connection, outgoing: bytes) -> tuple[str | None, str, int]:
    """Send and receive at once; the suite, the digest of what came, and our key updates."""
    sending = start(lambda: send_and_end(conn, outgoing))
    received = digest(read_all(conn))
    sending.result(DEADLINE)
    return conn.cipher, received, conn.tx_generation


def send_and_end(conn: Connection, outgoing: bytes) -> None:
    """Send everything, and close_notify."""
    conn.sendall(outgoing)
    conn.close_notify()


def updates(version: ssl.TLSVersion, sent: bytes) -> int:
    """Return the number of key updates of a transfer."""
    return len(sent) // REKEY_BYTES if version == TLS13 else 0


@pytest.mark.parametrize(("version", "suite"), CASES, ids=str)
def test_their_client_and_our_server_send_at_once(
    pems: Path, version: ssl.TLSVersion, suite: str
) -> None:
    config = server_config(suites=[suite], rekey_bytes=REKEY_BYTES, rekey_interval=0)
    port, served = serve_once(lambda conn: swap(conn, DOWN), config)
    with ssl_connect(port, client_context(pems, version)) as sock:
        assert digest(ssl_swap(sock, UP)) == digest(DOWN)
    assert served.result(DEADLINE) == (suite, digest(UP), updates(version, DOWN))


@pytest.mark.parametrize(("version", "suite"), CASES, ids=str)
def test_their_server_and_our_client_send_at_once(
    pems: Path, version: ssl.TLSVersion, suite: str
) -> None:
    config = client_config(suites=[suite], rekey_bytes=REKEY_BYTES, rekey_interval=0)
    context = server_context(pems, version)
    port, served = ssl_serve(lambda sock: digest(ssl_swap(sock, DOWN)), context)
    with connect(port, config) as conn:
        assert swap(conn, UP) == (suite, digest(DOWN), updates(version, UP))
    assert served.result(DEADLINE) == [digest(UP)]


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)
def test_our_client_ends_first_and_still_receives(pems: Path, version: ssl.TLSVersion) -> None:
    def handle(sock: ssl.SSLSocket) -> bytes:
        request = ssl_read_all(sock)
        sock.sendall(DOWN)
        sock.unwrap().close()
        return request

    port, served = ssl_serve(handle, server_context(pems, version))
    with connect(port) as conn:
        conn.sendall(b"a request")
        conn.close_notify()
        assert digest(read_all(conn)) == digest(DOWN)
    assert served.result(DEADLINE) == [b"a request"]


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)
def test_our_server_ends_first_and_still_receives(pems: Path, version: ssl.TLSVersion) -> None:
    def handle(conn: Connection) -> str:
        conn.sendall(b"a greeting")
        conn.close_notify()
        return digest(read_all(conn))

    port, served = serve_once(handle)
    with ssl_connect(port, client_context(pems, version)) as sock:
        assert ssl_read_all(sock) == b"a greeting"
        sock.sendall(UP)
        sock.unwrap().close()
    assert served.result(DEADLINE) == digest(UP)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)
def test_their_unwrap_receives_our_close_notify(pems: Path, version: ssl.TLSVersion) -> None:
    def handle(conn: Connection) -> bytes:
        received = read_all(conn)
        conn.close_notify()
        return received

    port, served = serve_once(handle)
    with ssl_connect(port, client_context(pems, version)) as sock:
        sock.sendall(b"all there is")
        sock.unwrap().close()
    assert served.result(DEADLINE) == b"all there is"


def test_close_alone_sends_close_notify(pems: Path) -> None:
    port, served = serve_once(lambda conn: conn.sendall(b"good-bye"))
    with ssl_connect(port, client_context(pems)) as sock:
        assert ssl_read_all(sock) == b"good-bye"
    served.result(DEADLINE)
