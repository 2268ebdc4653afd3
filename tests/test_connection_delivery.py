"""What was accepted arrives, whatever lies unread when a connection is closed."""

from __future__ import annotations

import gc
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ktls_fast import AlertReceivedError, Connection, HandshakeError, TruncatedError
from tests.peers.ours import connect, paired, server_config
from tests.peers.pki import pki
from tests.peers.raw import ALERT, CLOSE_NOTIFY, key_update, ticket
from tests.peers.raw import HANDSHAKE as HANDSHAKE_TYPE
from tests.peers.stdlib import client_context, server_context, ssl_connect
from tests.peers.support import DEADLINE, answer, dial, listener, octal, port_of, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20
INTERNAL_ERROR = (2, 80)


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    """The certificates as files."""
    pki().write_to(tmp_path)
    return tmp_path


def client_and_ssl_server(pems: Path) -> tuple[Connection, ssl.SSLSocket]:
    """Our client, which has read no ticket, and the standard library's server."""
    with listener() as listening:
        wrap = server_context(pems).wrap_socket
        accepted = start(
            lambda: wrap(answer(listening), server_side=True, suppress_ragged_eofs=False)
        )
        return connect(port_of(listening)), accepted.result(DEADLINE)


def server_and_ssl_client(pems: Path) -> tuple[Connection, ssl.SSLSocket]:
    """Our server and the standard library's client."""
    with listener() as listening:
        accepted = start(lambda: Connection.server(answer(listening), server_config()))
        client = ssl_connect(port_of(listening), client_context(pems))
        return accepted.result(DEADLINE), client


def accepted_in_part(conn: Connection, data: bytes) -> bytes:
    """What a socket that does not wait takes of ``data``, which is more."""
    conn.setblocking(False)
    taken = 0
    try:
        while taken < len(data):
            taken += conn.send(data[taken : taken + MIB])
    except BlockingIOError:
        pass
    assert conn.unsent > 0
    return data[:taken]


def read_in_pieces(sock: ssl.SSLSocket, size: int) -> bytes:
    """Everything until close_notify; FIN without it is an ``ssl.SSLEOFError``."""
    return b"".join(iter(lambda: sock.recv(size), b""))


def sockets_closing() -> int:
    """Descriptors of this process that are sockets."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += str(link.readlink()).startswith("socket:")
        except OSError:
            continue
    return count


def eventually(holds: Callable[[], bool]) -> bool:
    """Look again and again until the deadline."""
    end = time.monotonic() + DEADLINE
    while not holds():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.01)
    return True


def test_all_of_sendall_arrives_though_tickets_lie_unread(pems: Path) -> None:
    data = octal(12 * MIB)
    conn, server = client_and_ssl_server(pems)
    closed = threading.Event()

    def send() -> None:
        with conn:
            conn.sendall(data)
        closed.set()

    with server:
        sending = start(send)
        # The server begins when the client has sent what TCP holds without a reader.
        assert server.recv(1) == data[:1]
        received = read_in_pieces(server, 65536)
        sending.result(DEADLINE)
        assert closed.is_set()
        assert received == data[1:]


def test_what_waits_in_our_buffer_arrives_after_close(pems: Path) -> None:
    conn, server = client_and_ssl_server(pems)
    with server:
        taken = accepted_in_part(conn, octal(12 * MIB))
        conn.close()
        assert read_in_pieces(server, 65536) == taken


def test_a_reader_of_small_pieces_gets_all(pems: Path) -> None:
    conn, server = client_and_ssl_server(pems)
    with server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        taken = accepted_in_part(conn, octal(12 * MIB))
        conn.close()
        assert read_in_pieces(server, 1024) == taken


def test_a_client_gets_all_though_its_close_notify_lies_unread(pems: Path) -> None:
    conn, client = server_and_ssl_client(pems)
    with client:
        client.send(b"request that nobody reads")
        taken = accepted_in_part(conn, octal(12 * MIB))
        client.setblocking(False)
        with pytest.raises((ssl.SSLWantReadError, ssl.SSLError)):
            client.unwrap()
        client.setblocking(True)
        conn.close()
        assert read_with_data_after_close_notify(client) == taken


def read_with_data_after_close_notify(client: ssl.SSLSocket) -> bytes:
    """The module refuses to read after its own close_notify, so that TCP's bytes are counted by it."""
    return read_in_pieces(client, 65536)


@pytest.mark.parametrize(
    "unread",
    [
        pytest.param([(ticket(), HANDSHAKE_TYPE)], id="ticket"),
        pytest.param([(CLOSE_NOTIFY, ALERT)], id="close_notify"),
        pytest.param([(octal(16_000), 23)] * 20, id="data"),
        pytest.param([(key_update(0), HANDSHAKE_TYPE)], id="key_update"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_unread_records_destroy_nothing(unread: list[tuple[bytes, int]], when: str) -> None:
    with paired() as (conn, peer):
        if when == "before":
            for data, record_type in unread:
                peer.send(data, record_type)
        taken = accepted_in_part(conn, octal(8 * MIB))
        conn.close()
        if when == "after":
            for data, record_type in unread:
                peer.send(data, record_type)
        assert peer.drain() == (taken, [(1, 0)])


def test_dropped_without_close_all_arrives_but_no_close_notify() -> None:
    with paired() as (conn, peer):
        pass
    near, far = None, None
    del near, far, conn, peer
    with paired_without_owner() as (connections, peer):
        peer.send(ticket(), HANDSHAKE_TYPE)
        taken = accepted_in_part(connections[0], octal(8 * MIB))
        connections.clear()
        gc.collect()
        assert peer.drain() == (taken, [])
