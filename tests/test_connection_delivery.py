"""Accepted data arrives, even if unread data is left when a connection is closed."""

from __future__ import annotations

import gc
import ssl
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ktls_fast import Connection, TrafficSecret
from tests.peers.ours import LOCAL_SEED, PEER_SEED, connect, paired, raw_peer, server_config
from tests.peers.pki import pki
from tests.peers.raw import (
    ALERT,
    CLOSE_NOTIFY,
    DATA,
    HANDSHAKE,
    REQUESTED,
    RawPeer,
    key_update,
    secret_for,
    ticket,
)
from tests.peers.stdlib import client_context, server_context, ssl_connect
from tests.peers.support import DEADLINE, answer, listener, octal, port_of, socket_pair, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path
from tests.connection_delivery import MIB, fail_after_sending, send_until_full

DROPPED_OPEN = pytest.mark.filterwarnings("ignore:unclosed <ktls_fast.Connection:ResourceWarning")


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    """Return a directory with the certificates as files."""
    pki().write_to(tmp_path)
    return tmp_path


def client_and_ssl_server(pems: Path) -> tuple[Connection, ssl.SSLSocket]:
    """Our client, which has read no ticket, and the standard library's server."""
    context = server_context(pems)
    with listener() as listening:
        accepted = start(lambda: _wrapped(context, answer(listening)))
        return connect(port_of(listening)), accepted.result(DEADLINE)


def server_and_ssl_client(pems: Path) -> tuple[Connection, ssl.SSLSocket]:
    """Our server and the standard library's client."""
    with listener() as listening:
        accepted = start(lambda: Connection.server(answer(listening), server_config()))
        client = ssl_connect(port_of(listening), client_context(pems))
        return accepted.result(DEADLINE), client


def _wrapped(context: ssl.SSLContext, sock: socket.socket) -> ssl.SSLSocket:
    return context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)


@contextmanager
def owned() -> Iterator[tuple[list[Connection], RawPeer]]:
    """Yield a list that is the only owner of a connection, and the peer."""
    near, far = socket_pair()
    tx, rx = (TrafficSecret(0x1301, secret_for(0x1301, seed)) for seed in (LOCAL_SEED, PEER_SEED))
    with far:
        yield [Connection.from_secrets(near, server_side=True, tx=tx, rx=rx)], raw_peer(far)


def read_to_close_notify(sock: ssl.SSLSocket, size: int = 65536) -> bytes:
    """Everything until close_notify, in pieces; FIN without it is an ``ssl.SSLEOFError``."""
    return b"".join(iter(lambda: sock.recv(size), b""))


def test_all_of_sendall_arrives_despite_unread_tickets(pems: Path) -> None:
    data = octal(12 * MIB)
    conn, server = client_and_ssl_server(pems)

    def send() -> None:
        with conn:
            conn.sendall(data)

    with server:
        sending = start(send)
        # Until TCP is full, and longer: the reader begins in the middle.
        assert server.recv(1) == data[:1]
        assert read_to_close_notify(server) == data[1:]
        sending.result(DEADLINE)


@pytest.mark.parametrize("size", [1000, 65536])
def test_buffered_bytes_arrive_in_pieces_of_any_size(pems: Path, size: int) -> None:
    conn, server = client_and_ssl_server(pems)
    with server:
        taken = send_until_full(conn, octal(12 * MIB))
        conn.close()
        assert read_to_close_notify(server, size) == taken


def test_an_answer_arrives_despite_an_unread_request(pems: Path) -> None:
    conn, client = server_and_ssl_client(pems)
    with client:
        client.send(octal(50_000))
        taken = send_until_full(conn, octal(12 * MIB))
        conn.close()
        client.send(octal(50_000))
        assert read_to_close_notify(client) == taken


UNREAD = {
    "ticket": [(ticket(), HANDSHAKE)],
    "close_notify": [(CLOSE_NOTIFY, ALERT)],
    "data": [(octal(16_000), DATA)] * 20,
    "key_update": [(key_update(REQUESTED), HANDSHAKE)],
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", UNREAD)
def test_unread_records_lose_no_sent_data(name: str, when: str) -> None:
    with paired() as (conn, peer):
        records = b"".join(peer.tx.seal(*record) for record in UNREAD[name])
        if when == "before":
            peer.sock.sendall(records)
        taken = send_until_full(conn, octal(8 * MIB))
        conn.close()
        if when == "after":
            peer.sock.sendall(records)
        assert peer.drain() == (taken, [(1, 0)])


@pytest.mark.parametrize("records", [b"", b"no record at all, and much of it" * 10_000])
@DROPPED_OPEN
def test_a_connection_dropped_without_close_delivers_everything(records: bytes) -> None:
    with owned() as (connections, peer):
        peer.sock.sendall(records)
        taken = send_until_full(connections[0], octal(8 * MIB))
        connections.clear()
        gc.collect()
        assert peer.drain() == (taken, [])


@DROPPED_OPEN
def test_a_connection_dropped_in_a_thread_delivers_everything() -> None:
    with owned() as (connections, peer):
        peer.send(ticket(), HANDSHAKE)
        taken = send_until_full(connections[0], octal(8 * MIB))
        start(connections.clear).result(DEADLINE)
        assert peer.drain() == (taken, [])


def test_the_standard_library_sees_the_alert_of_an_exception(pems: Path) -> None:
    conn, server = client_and_ssl_server(pems)
    with server:
        with pytest.raises(ZeroDivisionError):
            fail_after_sending(conn, b"half", ZeroDivisionError)
        assert server.recv(100) == b"half"
        with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
            server.recv(100)


@pytest.mark.parametrize("tickets", ["unread", "late"])
@pytest.mark.parametrize("ending", ["close", "with", "exception", "drop", "global"])
def test_the_interpreter_exits_after_the_last_byte(pems: Path, ending: str, tickets: str) -> None:
    """The server has sent tickets that are unread, or performs its handshake late."""
    endings = {
        "close": "conn.sendall(data); conn.close()",
        "with": "with conn: conn.sendall(data)",
        "exception": "with conn:\n    conn.sendall(data)\n    raise SystemExit",
        "drop": "conn.sendall(data); del conn",
        "global": "conn.sendall(data)",
    }
    program = textwrap.dedent(
        """
        import sys, ktls_fast
        config = ktls_fast.ClientConfig(open(sys.argv[2], "rb").read())
        conn = ktls_fast.connect(("127.0.0.1", int(sys.argv[1])), config, server_name="localhost")
        data = bytes(3_000_000)
        """
    )
    context = server_context(pems)
    with listener() as listening:
        command = [sys.executable, "-c", program + endings[ending], str(port_of(listening))]
        client = subprocess.Popen([*command, str(pems / "roots.pem")], stderr=subprocess.PIPE)
        with answer(listening) as sock, _wrapped(context, sock) as server:
            received = server.recv(1)
            if tickets == "late":
                server.send(octal(16_000))
            try:
                while data := server.recv(65536):
                    received += data
                clean = True
            except ssl.SSLError:
                clean = False
        assert received == bytes(3_000_000)
        assert clean == (ending in ("close", "with"))
        assert client.communicate(timeout=DEADLINE)[1] == b""
