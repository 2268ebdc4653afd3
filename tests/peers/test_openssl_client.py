"""``openssl s_client`` against our server."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from ktls_fast import AlertReceivedError, Connection, KtlsError
from tests.peers.openssl import TLS12_SUITES, exchange, press_at_client, s_client
from tests.peers.ours import echoing, serve_once, server_config
from tests.peers.pki import pki
from tests.peers.support import DEADLINE, SUITES, octal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers.ours import ConnectionSummary, RekeyLimits


@pytest.fixture
def openssl(require_tool: Callable[[str], str]) -> str:
    return require_tool("openssl")


@pytest.mark.parametrize("suite", SUITES.values())
def test_each_key_update_command_is_followed(openssl: str, pems: Path, suite: str) -> None:
    port, served = serve_once(echoing(None))
    with s_client(openssl, port, pems, "-tls1_3", "-ciphersuites", suite) as client:
        for turn, key in enumerate("kKkKKk"):
            exchange(client, octal(1000 * turn + 1, turn))
            press_at_client(client, key)
        exchange(client, octal(50_000))
        assert client.finish() == 0
    assert _keys(served.result(DEADLINE)) == (suite, 3, 6)


@pytest.mark.parametrize("suite", SUITES.values())
@pytest.mark.parametrize("request_peer", [False, True])
def test_both_sides_update(openssl: str, pems: Path, suite: str, request_peer: bool) -> None:
    port, served = serve_once(echoing(lambda conn: conn.key_update(request_peer)))
    with s_client(openssl, port, pems, "-tls1_3", "-ciphersuites", suite) as client:
        for turn in range(20):
            exchange(client, octal(700, turn))
            press_at_client(client, "kK"[turn % 2])
        exchange(client, octal(1))
        assert client.finish() == 0
    # 21 updates of ours and 10 answers. A key press takes the place of the client's own answer.
    assert _keys(served.result(DEADLINE)) == (suite, 31, 20)


def test_a_hundred_requests_with_data_in_between(openssl: str, pems: Path) -> None:
    port, served = serve_once(echoing(None))
    with s_client(openssl, port, pems, "-tls1_3") as client:
        for turn in range(100):
            press_at_client(client, "K")
            exchange(client, octal(40_000 if turn % 10 == 0 else turn + 1, turn))
        assert client.finish() == 0
    summary = served.result(DEADLINE)
    assert (summary.tx_generation, summary.rx_generation) == (100, 100)


@pytest.mark.parametrize("limits", [{"rekey_bytes": 4096}, {"rekey_records": 2}], ids=str)
def test_automatic_updates_are_followed(openssl: str, pems: Path, limits: RekeyLimits) -> None:
    config = server_config(**limits)
    port, served = serve_once(echoing(None), config)
    with s_client(openssl, port, pems, "-tls1_3") as client:
        for turn in range(20):
            exchange(client, octal(5000, turn))
            press_at_client(client, "kK"[turn % 2])
        exchange(client, octal(100_000))
        assert client.finish() == 0
    assert served.result(DEADLINE).tx_generation > 10  # the answers


@pytest.mark.parametrize(
    "options",
    [
        ["-max_send_frag", "512"],
        ["-record_padding", "4096"],
        ["-no_middlebox"],
        ["-groups", "ffdhe2048:P-256"],  # a HelloRetryRequest
        ["-no_ticket"],
        ["-alpn", "http/1.1"],
    ],
    ids=" ".join,
)
def test_options_of_the_peer_make_no_difference(
    openssl: str, pems: Path, options: list[str]
) -> None:
    port, served = serve_once(echoing(None))
    with s_client(openssl, port, pems, "-tls1_3", *options) as client:
        for turn in range(4):
            exchange(client, octal(20_000, turn))
            press_at_client(client, "K")
        assert client.finish() == 0
    assert served.result(DEADLINE).rx_generation == 4


@pytest.mark.parametrize("name", TLS12_SUITES)
def test_tls12_carries_data_and_has_no_key_update(openssl: str, pems: Path, name: str) -> None:
    def refuse(conn: Connection) -> None:
        with pytest.raises(KtlsError) as caught:
            conn.key_update()
        assert caught.value.errno == errno.EOPNOTSUPP

    port, served = serve_once(echoing(refuse))
    with s_client(openssl, port, pems, "-tls1_2", "-cipher", name) as client:
        for size in (1, 16384, 16385, 100_000):
            exchange(client, octal(size))
        assert client.finish() == 0
    summary = served.result(DEADLINE)
    assert (summary.version, summary.cipher) == ("TLSv1.2", TLS12_SUITES[name])


def test_renegotiation_is_refused(openssl: str, pems: Path) -> None:
    port, served = serve_once(echoing(None))
    with s_client(openssl, port, pems, "-tls1_2", "-legacy_renegotiation") as client:
        exchange(client, octal(100))
        client.write(b"R\n")
        client.errors.until(b"RENEGOTIATING\n")
        client.errors.until(b"no renegotiation")
        client.finish()
    with pytest.raises(AlertReceivedError, match="handshake_failure"):
        served.result(DEADLINE)


def test_rsa_certificate_serves_both_versions(openssl: str, pems: Path) -> None:
    for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        port, served = serve_once(echoing(None), server_config(pki().server_rsa))
        with s_client(openssl, port, pems, option) as client:
            exchange(client, octal(100))
            assert client.finish() == 0
        assert served.result(DEADLINE).version == version


def _keys(summary: ConnectionSummary) -> tuple[str | None, int, int]:
    return summary.cipher, summary.tx_generation, summary.rx_generation
