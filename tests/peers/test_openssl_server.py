"""Our client against ``openssl s_server``."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from ktls_fast import KtlsError, TruncatedError
from tests.peers.openssl import (
    TLS12_SUITES,
    await_handshake,
    exchange_with_server,
    press_at_server,
    s_server,
)
from tests.peers.ours import client_config, connect
from tests.peers.support import SUITES, octal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def openssl(require_tool: Callable[[str], str]) -> str:
    return require_tool("openssl")


@pytest.mark.parametrize("suite", SUITES.values())
def test_both_sides_update(openssl: str, pems: Path, suite: str) -> None:
    with (
        s_server(openssl, pems, "-ciphersuites", suite) as (server, port),
        connect(port) as conn,
    ):
        assert await_handshake(server) == suite
        for turn, key in enumerate("kKkKKk"):
            exchange_with_server(conn, server, octal(1000 * turn + 1, turn))
            press_at_server(server, key)
            conn.key_update()
        exchange_with_server(conn, server, octal(1))
        assert (conn.cipher, conn.tx_generation, conn.rx_generation) == (suite, 6 + 3, 6)


def test_requests_to_the_server_are_answered(openssl: str, pems: Path) -> None:
    with s_server(openssl, pems) as (server, port), connect(port) as conn:
        await_handshake(server)
        for turn in range(30):
            conn.key_update(request_peer=True)
            exchange_with_server(conn, server, octal(100, turn))
            assert (conn.tx_generation, conn.rx_generation) == (turn + 1, turn + 1)


def test_automatic_updates_are_followed(openssl: str, pems: Path) -> None:
    config = client_config(rekey_records=2)
    with s_server(openssl, pems) as (server, port), connect(port, config) as conn:
        await_handshake(server)
        exchange_with_server(conn, server, octal(200_000))
        assert conn.tx_generation >= 5


@pytest.mark.parametrize(
    "options",
    [
        ["-max_send_frag", "512"],
        ["-record_padding", "4096"],
        ["-no_middlebox"],
        ["-groups", "P-384"],  # a HelloRetryRequest
        ["-num_tickets", "0"],
        ["-num_tickets", "20"],
    ],
    ids=" ".join,
)
def test_options_of_the_peer_make_no_difference(
    openssl: str, pems: Path, options: list[str]
) -> None:
    with s_server(openssl, pems, "-tls1_3", *options) as (server, port), connect(port) as conn:
        await_handshake(server)
        for turn in range(4):
            press_at_server(server, "K")
            exchange_with_server(conn, server, octal(20_000, turn))
        assert conn.rx_generation == 4


@pytest.mark.parametrize("name", TLS12_SUITES)
def test_tls12_carries_data_and_has_no_key_update(openssl: str, pems: Path, name: str) -> None:
    with (
        s_server(openssl, pems, "-tls1_2", "-cipher", name) as (server, port),
        connect(port) as conn,
    ):
        await_handshake(server)
        exchange_with_server(conn, server, octal(20_000))
        with pytest.raises(KtlsError) as caught:
            conn.key_update()
        exchange_with_server(conn, server, octal(20_000))
        assert caught.value.errno == errno.EOPNOTSUPP
        assert (conn.version, conn.cipher) == ("TLSv1.2", TLS12_SUITES[name])


def test_server_that_quits_without_close_notify_is_reported(openssl: str, pems: Path) -> None:
    with s_server(openssl, pems) as (server, port), connect(port) as conn:
        await_handshake(server)
        server.write(b"Q\n")
        with pytest.raises(TruncatedError):
            conn.read()
