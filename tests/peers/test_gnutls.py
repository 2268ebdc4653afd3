"""``gnutls-cli`` against our server, and our client against ``gnutls-serv``.

GnuTLS refuses more than eight KeyUpdates within a second, so our side sends fewer here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.peers.ours import client_config, connect, echoing, read_exactly, serve_once
from tests.peers.process import ProgramProcess
from tests.peers.support import DEADLINE, SUITES, octal
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REKEY, REKEY_AND_REQUEST = b"^rekey1^\n", b"^rekey^\n"
CIPHERS = dict(
    zip(("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"), SUITES.values(), strict=True)
)


@pytest.fixture
def gnutls_serv(require_tool: Callable[[str], str], pems: Path) -> Iterator[int]:
    """Yield the port of an echo server."""
    port = free_port()
    arguments = [require_tool("gnutls-serv"), "--echo", "--disable-client-cert", "-p", str(port)]
    arguments += [f"--x509certfile={pems / 'server.pem'}", f"--x509keyfile={pems / 'server.key'}"]
    with ProgramProcess(arguments) as server:
        server.errors.until(b"listening on IPv4")
        server.errors.until(b"done\n")
        yield port


@contextmanager
def gnutls_cli(
    tool: str, port: int, pems: Path, log: Path, protocol: str
) -> Iterator[ProgramProcess]:
    """Yield a client that prints only data."""
    arguments = [tool, "-p", str(port), "--inline-commands", f"--logfile={log}"]
    arguments += ["--sni-hostname=localhost", "--verify-hostname=localhost", "127.0.0.1"]
    arguments += [f"--x509cafile={pems / 'roots.pem'}", f"--priority={protocol}"]
    with ProgramProcess(arguments) as client:
        yield client


def exchange(client: ProgramProcess, data: bytes) -> None:
    """Have a line echoed by our server."""
    client.write(data + b"\n")
    assert client.output.exactly(len(data) + 1) == data + b"\n"


@pytest.mark.parametrize("cipher", CIPHERS)
def test_key_updates_of_the_client_are_followed(
    require_tool: Callable[[str], str], pems: Path, tmp_path: Path, cipher: str
) -> None:
    port, served = serve_once(echoing(None))
    protocol = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{cipher}"
    log = tmp_path / "log"
    with gnutls_cli(require_tool("gnutls-cli"), port, pems, log, protocol) as client:
        for turn, command in enumerate([REKEY, REKEY_AND_REQUEST] * 4):
            exchange(client, octal(1500 * turn + 1, turn))
            client.write(command)
        exchange(client, octal(30_000))
        assert client.finish() == 0
    summary = served.result(DEADLINE)
    assert (summary.cipher, summary.tx_generation, summary.rx_generation) == (CIPHERS[cipher], 4, 8)
    assert log.read_text().count("Rekey was completed") == 8


@pytest.mark.parametrize("request_peer", [False, True])
def test_client_follows_our_updates(
    require_tool: Callable[[str], str], pems: Path, tmp_path: Path, request_peer: bool
) -> None:
    port, served = serve_once(echoing(lambda conn: conn.key_update(request_peer)))
    tool, protocol = require_tool("gnutls-cli"), "NORMAL:-VERS-ALL:+VERS-TLS1.3"
    with gnutls_cli(tool, port, pems, tmp_path / "log", protocol) as client:
        for turn in range(6):
            exchange(client, octal(200, turn))
        client.write(REKEY)
        exchange(client, octal(200))
        assert client.finish() == 0
    summary = served.result(DEADLINE)
    assert summary.tx_generation == 7
    assert summary.rx_generation in ((7, 8) if request_peer else (1,))


def test_client_speaks_tls12(
    require_tool: Callable[[str], str], pems: Path, tmp_path: Path
) -> None:
    port, served = serve_once(echoing(None))
    tool, protocol = require_tool("gnutls-cli"), "NORMAL:-VERS-ALL:+VERS-TLS1.2"
    with gnutls_cli(tool, port, pems, tmp_path / "log", protocol) as client:
        exchange(client, octal(30_000))
        assert client.finish() == 0
    assert served.result(DEADLINE).version == "TLSv1.2"


@pytest.mark.parametrize("suite", SUITES.values())
@pytest.mark.parametrize("request_peer", [False, True])
def test_server_follows_our_updates(gnutls_serv: int, suite: str, request_peer: bool) -> None:
    with connect(gnutls_serv, client_config(suites=[suite])) as conn:
        for turn in range(7):
            line = octal(3000, turn) + b"\n"
            conn.sendall(line)
            assert read_exactly(conn, len(line)) == line
            conn.key_update(request_peer)
        conn.sendall(b"end\n")
        assert read_exactly(conn, 4) == b"end\n"
        assert (conn.cipher, conn.tx_generation) == (suite, 7)
        assert conn.rx_generation == 7 * request_peer
