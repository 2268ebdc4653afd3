"""Connections on non-blocking sockets from the first byte on."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    Connection,
    TLSObject,
    WantReadError,
    WantWriteError,
)
from ktls_fast.selectors import KtlsSelector
from tests.peers.ours import client_config, paired, server_config
from tests.peers.support import DEADLINE, fill, socket_pair
from tests.tls_objects import SslEnd, is_done, ssl_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two connected non-blocking sockets."""
    near, far = socket_pair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


def drive(*connections: Connection) -> None:
    """Complete the handshakes of connections in one thread."""
    left = set(connections)
    for _ in range(1000):
        for conn in list(left):
            if step(conn, conn.do_handshake):
                left.discard(conn)
        if not left:
            return
    message = "the handshake does not end"
    raise AssertionError(message)


def step(conn: Connection, call: Callable[[], object]) -> bool:
    """Make a call. If it would block, wait for what it needs, and return False."""
    try:
        call()
    except WantReadError:
        select.select([conn], [], [], 0.01)
        return False
    except WantWriteError:
        select.select([], [conn], [], 0.01)
        return False
    return True


def write_much(conn: Connection) -> None:
    """Write more than TCP has room for."""
    for _ in range(10_000):
        conn.write(bytes(1 << 16))


def test_both_ends_shake_hands_in_one_thread(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    with (
        Connection.server(near, server_config()) as server,
        Connection.client(far, client_config(), "localhost") as client,
    ):
        assert not server.handshake_complete
        drive(server, client)
        assert server.handshake_complete
        assert client.version == server.version == "TLSv1.3"
        assert client.write(b"hello") == 5
        select.select([server], [], [], DEADLINE)
        assert server.read() == b"hello"
        with pytest.raises(WantReadError):
            server.read()


def test_before_the_handshake_properties_are_empty_and_calls_want_bytes(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, _ = ends
    with Connection.server(near, server_config()) as conn:
        assert (conn.version, conn.cipher, conn.alpn, conn.server_name) == (None,) * 4
        assert (conn.resumed, conn.unsent, conn.pending(), conn.bytes_sent) == (False, 0, 0, 0)
        assert conn.fileno() >= 0
        assert "in its handshake>" in repr(conn)
        assert conn.gettimeout() == 0
        with pytest.raises(ValueError, match="handshake is not complete"):
            _ = conn.peer_certificates
        for call in (
            conn.do_handshake,
            conn.read,
            lambda: conn.recv(10),
            lambda: conn.recv_into(bytearray(10)),
            lambda: conn.write(b"x"),
            lambda: conn.sendall(b"x"),
            conn.key_update,
            conn.close_notify,
        ):
            with pytest.raises(WantReadError) as caught:
                call()
            assert isinstance(caught.value, BlockingIOError)


def test_a_call_drives_the_handshake_by_itself(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    with (
        Connection.server(near, server_config()) as server,
        Connection.client(far, client_config(), "localhost") as client,
    ):
        for _ in range(1000):
            if step(client, lambda: client.write(b"early")):
                break
            step(server, server.read)
        got = bytearray()
        for _ in range(1000):
            if step(server, lambda: got.extend(server.read())):
                break
        assert got == b"early"


def test_the_first_flight_may_meet_a_full_socket(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    filled = fill(far)
    with Connection.client(far, client_config(), "localhost") as client:
        with pytest.raises(WantWriteError, match="TCP accepts no more bytes"):
            client.do_handshake()
        assert client.unsent > 0
        while filled:
            select.select([near], [], [], DEADLINE)
            filled -= len(near.recv(min(filled, 1 << 16)))
        near.setblocking(True)
        server = TLSObject.server(server_config())
        for _ in range(1000):
            if step(client, client.do_handshake) and is_done(server):
                break
            if select.select([near], [], [], 0)[0]:
                server.receive(near.recv(1 << 16))
                near.sendall(server.data_to_send())
        assert client.handshake_complete


def test_bytes_behind_the_handshake_are_read_and_seen_by_the_selector(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    far.setblocking(True)
    peer = SslEnd(ssl_context(server_side=False), server_side=False)
    with Connection.server(near, server_config()) as conn, KtlsSelector() as selector:
        selector.register(conn, select.POLLIN)
        is_done(peer)
        far.sendall(peer.data_to_send())
        while not step(conn, conn.do_handshake) and not is_done(peer):
            peer.receive(far.recv(1 << 16))
        peer.write(b"data")
        far.sendall(peer.data_to_send())
        select.select([conn], [], [], DEADLINE)
        assert step(conn, conn.do_handshake)
        assert selector.select(DEADLINE)
        assert conn.read() == b"data"


def test_a_timeout_set_later_makes_it_blocking(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    with Connection.server(near, server_config()) as conn:
        conn.settimeout(0.01)
        with pytest.raises(TimeoutError):
            conn.do_handshake()
        conn.settimeout(DEADLINE)
        far.setblocking(True)
        done: list[bytes] = []

        def shake() -> None:
            with Connection.client(far, client_config(), "localhost") as client:
                done.append(client.read())

        thread = threading.Thread(target=shake)
        thread.start()
        conn.sendall(b"after the handshake")
        thread.join(DEADLINE)
        assert done == [b"after the handshake"]


def test_a_non_blocking_write_says_what_it_waits_for() -> None:
    with paired() as (conn, _):
        conn.setblocking(False)
        with pytest.raises(WantWriteError):
            write_much(conn)
        with pytest.raises(WantReadError):
            conn.read()


def test_openssl_and_a_non_blocking_connection_of_tls12(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    far.setblocking(True)
    peer = SslEnd(ssl_context(ssl.TLSVersion.TLSv1_2, server_side=False), server_side=False)
    with Connection.server(near, server_config()) as conn:
        for _ in range(100):
            peer_done = is_done(peer)
            far.sendall(peer.data_to_send())
            done = step(conn, conn.do_handshake)
            if done and peer_done:
                break
            if select.select([far], [], [], 0)[0]:
                peer.receive(far.recv(1 << 16))
        assert conn.version == "TLSv1.2"
        conn.sendall(b"data")
        peer.receive(far.recv(1 << 16))
        assert peer.read_all() == b"data"
