"""Connections that were handed over to a kTLS socket, against OpenSSL's programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ktls_hand_over import backend, into_ktls, receive_exactly
from tests.peers.openssl import (
    await_handshake,
    exchange,
    press_at_client,
    press_at_server,
    s_client,
    s_server,
)
from tests.peers.ours import client_config, connect, serve_once, server_config
from tests.peers.support import DEADLINE, SUITES, octal

__all__ = ["backend"]  # a fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ktls_fast import Connection, KtlsConnection
    from ktls_fast._backends import Backend
    from tests.peers.process import ProgramProcess


@pytest.fixture
def openssl(require_tool: Callable[[str], str]) -> str:
    return require_tool("openssl")


def exchange_with(server: ProgramProcess, tls: KtlsConnection, data: bytes) -> None:
    """Send ``data`` in both directions between our client and s_server."""
    tls.sendall(data)
    assert server.output.exactly(len(data)) == data
    server.write(data)
    assert receive_exactly(tls, len(data)) == data


@pytest.mark.parametrize("suite", SUITES.values())
def test_a_client_follows_s_server(openssl: str, pems: Path, suite: str, backend: Backend) -> None:
    with s_server(openssl, pems, "-ciphersuites", suite) as (server, port):
        conn = connect(port)
        assert await_handshake(server) == suite
        conn.key_update()
        with into_ktls(conn, backend) as tls:
            for turn, key in enumerate("kKkK"):
                exchange_with(server, tls, octal(1000 * turn + 1, turn))
                press_at_server(server, key)
                tls.key_update()
            exchange_with(server, tls, octal(1))
            assert (tls.keys.tx_generation, tls.keys.rx_generation) == (1 + 4 + 2, 4)


def test_requests_to_s_server_are_answered(openssl: str, pems: Path, backend: Backend) -> None:
    with s_server(openssl, pems) as (server, port):
        conn = connect(port, client_config(rekey_records=2))
        await_handshake(server)
        with into_ktls(conn, backend) as tls:
            for turn in range(1, 10):
                tls.key_update(request_peer=True)
                exchange_with(server, tls, octal(100, turn))
                assert tls.keys.rx_generation == turn


def test_a_server_follows_s_client(openssl: str, pems: Path, backend: Backend) -> None:
    def serve(conn: Connection) -> tuple[int, int]:
        with into_ktls(conn, backend) as tls:
            while data := tls.recv(65536):
                tls.key_update()
                tls.sendall(data)
            tls.close_notify()
            return tls.keys.tx_generation, tls.keys.rx_generation

    port, served = serve_once(serve, server_config())
    with s_client(openssl, port, pems) as client:
        for turn, key in enumerate("kKkK"):
            exchange(client, octal(1000, turn))
            press_at_client(client, key)
        exchange(client, octal(10))
        client.finish()
    sent, received = served.result(DEADLINE)
    assert received == 4
    assert sent >= 5 + 2
