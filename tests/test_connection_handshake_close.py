"""The end of a non-blocking connection during its handshake."""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    Connection,
    HandshakeError,
    KtlsError,
    WantWriteError,
)
from tests.forked import ForkedCall
from tests.peers.ours import client_config, server_config
from tests.peers.support import DEADLINE, fill, socket_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two connected non-blocking sockets."""
    near, far = socket_pair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


def test_a_failed_handshake_sends_its_alert_and_keeps_its_reason(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    with Connection.server(near, server_config()) as conn:
        far.send(b"GET / HTTP/1.1\r\n\r\n")
        select.select([conn], [], [], DEADLINE)
        for _ in range(2):
            with pytest.raises(HandshakeError, match="TLS"):
                conn.do_handshake()
        with pytest.raises(HandshakeError, match="TLS"):
            conn.read()
        select.select([far], [], [], DEADLINE)
        assert far.recv(100)[0] == 21
    far.setblocking(True)
    assert far.recv(100) == b""


def test_a_peer_that_goes_during_the_handshake_is_an_error(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    with Connection.server(near, server_config()) as conn:
        far.close()
        select.select([conn], [], [], DEADLINE)
        with pytest.raises(HandshakeError, match="closed the connection"):
            conn.do_handshake()


def test_a_close_during_the_handshake_loses_no_queued_byte(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    filled = fill(far)
    client = Connection.client(far, client_config(), "localhost")
    with pytest.raises(WantWriteError):
        client.do_handshake()
    unsent = client.unsent
    client.close()
    assert client.fileno() == -1
    for call in (client.do_handshake, client.read, client.close_notify):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()
    near.setblocking(True)
    near.settimeout(DEADLINE)
    got = bytearray()
    while piece := near.recv(1 << 20):
        got += piece
    assert len(got) == filled + unsent
    assert got[filled:][:2] == b"\x16\x03"


def test_a_close_wakes_a_thread_that_waits_in_the_handshake(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, _ = ends
    conn = Connection.server(near, server_config())
    conn.settimeout(None)
    errors: list[OSError] = []
    waits = threading.Event()

    def shake() -> None:
        waits.set()
        try:
            conn.do_handshake()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=shake)
    thread.start()
    assert waits.wait(DEADLINE)
    conn.close()
    thread.join(DEADLINE)
    assert [error.errno for error in errors] == [9]


def test_a_handshake_belongs_to_one_of_two_processes(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, _ = ends
    with Connection.server(near, server_config()) as conn:
        assert ForkedCall(conn.do_handshake).answer().startswith("11 ")
        with pytest.raises(KtlsError, match="only one of the two processes"):
            conn.do_handshake()
