"""Early data of ``openssl s_client``, whose ticket is another server's (RFC 8446 §4.2.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.openssl import exchange, s_client, s_server
from tests.peers.ours import echoing, serve_once, server_config
from tests.peers.support import DEADLINE, SUITES, octal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def openssl(require_tool: Callable[[str], str]) -> str:
    return require_tool("openssl")


@pytest.mark.parametrize("suite", SUITES.values())
@pytest.mark.parametrize("size", [1, 5_450, 16_384])
def test_early_data_that_is_not_accepted_is_skipped(
    openssl: str, pems: Path, tmp_path: Path, suite: str, size: int
) -> None:
    ticket, data = tmp_path / "ticket.pem", tmp_path / "early"
    data.write_bytes(octal(size))
    only = ("-tls1_3", "-ciphersuites", suite)
    with (
        s_server(openssl, pems, *only, "-early_data") as (server, port),
        s_client(openssl, port, pems, *only, "-sess_out", str(ticket)) as client,
    ):
        server.write(b"2345\n")
        client.output.until(b"2345")  # the ticket comes before the data
        client.finish()
    early = ("-sess_in", str(ticket), "-early_data", str(data))
    port, served = serve_once(echoing(None), server_config())
    with s_client(openssl, port, pems, *only, *early) as client:
        exchange(client, octal(5000))
        assert client.finish() == 0
    assert not served.result(DEADLINE).resumed
