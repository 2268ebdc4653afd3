"""What a handshake agrees on, with the ``ssl`` module: certificates, ALPN, resumption, key log."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from ktls_fast import Connection, HandshakeError
from tests.peers.ours import ConnectionSummary, client_config, connect, echo, server_config
from tests.peers.pki import pki
from tests.peers.stdlib import (
    TLS12,
    TLS13,
    client_context,
    server_context,
    ssl_connect,
    ssl_read_all,
    ssl_serve,
)
from tests.peers.support import DEADLINE, answer, listener, port_of, start

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from ktls_fast import ServerConfig

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


def serve(config: ServerConfig, connections: int) -> tuple[int, Future[list[ConnectionSummary]]]:
    """Our echo server for several connections, one after the other, with one configuration."""
    listening = listener()

    def one() -> ConnectionSummary:
        with Connection.server(answer(listening), config) as conn:
            return echo(conn)

    def run() -> list[ConnectionSummary]:
        with listening:
            return [one() for _ in range(connections)]

    return port_of(listening), start(run)


def round_trip(sock: ssl.SSLSocket) -> ssl.SSLSession | None:
    """Exchange data, so that tickets arrive, and end in order; return the session."""
    sock.sendall(b"ping")
    assert sock.recv(4) == b"ping"
    session = sock.session
    sock.unwrap().close()
    return session


def use(port: int, context: ssl.SSLContext) -> None:
    """Connect and read, as a client learns at its first read at the latest that it is refused."""
    with ssl_connect(port, context) as sock:
        sock.recv(1)


def our_round_trip(conn: Connection) -> Connection:
    """Send data by a connection of ours, check its echo, and return the connection."""
    with conn:
        conn.sendall(b"ping")
        assert conn.read() == b"ping"
        conn.close_notify()
        assert conn.read() == b""
    return conn


def ssl_echo(sock: ssl.SSLSocket) -> bool:
    """Answer the round trip of our client; return True if the session was resumed."""
    sock.sendall(sock.recv(4))
    assert ssl_read_all(sock) == b""
    resumed = bool(sock.session_reused)
    sock.unwrap().close()
    return resumed


@VERSIONS
def test_their_client_authenticates_with_a_certificate(pems: Path, version: ssl.TLSVersion) -> None:
    config = server_config(client_roots=pki().roots, require_client_cert=True)
    port, served = serve(config, 1)
    context = client_context(pems, version)
    context.load_cert_chain(pems / "client.pem", pems / "client.key")
    with ssl_connect(port, context) as sock:
        round_trip(sock)
    leaf = ssl.PEM_cert_to_DER_cert(pki().client.cert.decode())
    assert served.result(DEADLINE)[0].leaf == leaf


@VERSIONS
def test_their_client_without_certificate_is_refused(pems: Path, version: ssl.TLSVersion) -> None:
    port, served = serve(server_config(client_roots=pki().roots, require_client_cert=True), 1)
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|handshake.failure"):
        use(port, client_context(pems, version))
    with pytest.raises(HandshakeError, match="certificate"):
        served.result(DEADLINE)


def test_client_certificate_is_optional_if_so_configured(pems: Path) -> None:
    port, served = serve(server_config(client_roots=pki().roots), 1)
    with ssl_connect(port, client_context(pems)) as sock:
        round_trip(sock)
    assert served.result(DEADLINE)[0].leaf is None


@VERSIONS
def test_our_client_authenticates_with_a_certificate(pems: Path, version: ssl.TLSVersion) -> None:
    context = server_context(pems, version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pems / "roots.pem")
    identity = pki().client
    port, served = ssl_serve(ssl_echo, context)
    conn = our_round_trip(connect(port, client_config(cert=identity.cert, key=identity.key)))
    assert served.result(DEADLINE) == [False]
    assert conn.version == ("TLSv1.2" if version == TLS12 else "TLSv1.3")


@VERSIONS
def test_alpn_is_the_first_that_our_server_prefers(pems: Path, version: ssl.TLSVersion) -> None:
    port, served = serve(server_config(alpn=["h2", "http/1.1"]), 1)
    context = client_context(pems, version)
    context.set_alpn_protocols(["http/1.1", "h2"])
    with ssl_connect(port, context) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        round_trip(sock)
    assert served.result(DEADLINE)[0].alpn == "h2"


def test_no_common_alpn_protocol_is_refused_with_its_alert(pems: Path) -> None:
    port, served = serve(server_config(alpn=["h2"]), 1)
    context = client_context(pems)
    context.set_alpn_protocols(["smtp"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        ssl_connect(port, context)
    with pytest.raises(HandshakeError):
        served.result(DEADLINE)


@VERSIONS
def test_our_client_learns_what_their_server_chose(pems: Path, version: ssl.TLSVersion) -> None:
    context = server_context(pems, version)
    context.set_alpn_protocols(["http/1.1"])
    port, served = ssl_serve(ssl_echo, context)
    conn = our_round_trip(connect(port, client_config(alpn=["h2", "http/1.1"])))
    served.result(DEADLINE)
    leaf = ssl.PEM_cert_to_DER_cert(pki().server.cert.decode())
    assert (conn.alpn, conn.server_name, conn.peer_certificates) == (
        "http/1.1",
        "localhost",
        [leaf],
    )


@VERSIONS
def test_their_client_resumes(pems: Path, version: ssl.TLSVersion) -> None:
    port, served = serve(server_config(), 2)
    context = client_context(pems, version)
    with ssl_connect(port, context) as sock:
        session = round_trip(sock)
    with ssl_connect(port, context, session) as sock:
        assert sock.session_reused
        round_trip(sock)
    assert [summary.resumed for summary in served.result(DEADLINE)] == [False, True]


def test_without_tickets_there_is_no_resumption(pems: Path) -> None:
    port, served = serve(server_config(tickets=0), 1)
    with ssl_connect(port, client_context(pems)) as sock:
        session = round_trip(sock)
        assert session is None or not session.has_ticket
    served.result(DEADLINE)


@VERSIONS
@pytest.mark.parametrize("resumption", [True, False])
def test_our_client_resumes(pems: Path, version: ssl.TLSVersion, resumption: bool) -> None:
    port, served = ssl_serve(ssl_echo, server_context(pems, version), connections=2)
    config = client_config(resumption=resumption)
    resumed = [our_round_trip(connect(port, config)).resumed for _ in range(2)]
    assert resumed == served.result(DEADLINE) == [False, resumption]


@VERSIONS
def test_the_minimum_version_is_enforced(pems: Path, version: ssl.TLSVersion) -> None:
    port, served = serve(server_config(min_version="TLSv1.3"), 1)
    if version == TLS13:
        with ssl_connect(port, client_context(pems, version)) as sock:
            round_trip(sock)
        assert served.result(DEADLINE)[0].version == "TLSv1.3"
    else:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            ssl_connect(port, client_context(pems, version))
        with pytest.raises(HandshakeError):
            served.result(DEADLINE)


def test_both_key_logs_have_the_same_secrets(pems: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    port, served = serve(server_config(keylog=str(ours)), 1)
    context = client_context(pems)
    context.keylog_filename = str(theirs)
    with ssl_connect(port, context) as sock:
        round_trip(sock)
    served.result(DEADLINE)
    logged = {line for line in theirs.read_text().splitlines() if "TRAFFIC_SECRET_0" in line}
    assert len(logged) == 2
    assert logged <= set(ours.read_text().splitlines())
