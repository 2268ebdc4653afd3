"""What arrives at the peer when a connection is closed, or left by an exception."""

from __future__ import annotations

import pytest

from ktls_fast import AlertReceivedError, Connection, HandshakeError
from tests.connection_delivery import (
    MIB,
    eventually,
    fail_after_sending,
    open_descriptors,
    send_until_full,
    threads_named,
)
from tests.peers.ours import paired, server_config
from tests.peers.raw import (
    ALERT,
    HANDSHAKE,
    NOT_REQUESTED,
    ticket,
)
from tests.peers.support import DEADLINE, octal, socket_pair, start


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_in_a_with_block_sends_an_alert(error: type[BaseException]) -> None:
    with paired() as (conn, peer):
        with pytest.raises(error):
            fail_after_sending(conn, b"half", error)
        assert peer.drain() == (b"half", [(2, 80)])


def test_an_exception_after_close_notify_sends_no_alert() -> None:
    with paired() as (conn, peer):
        conn.sendall(b"all")
        conn.close_notify()
        with pytest.raises(ZeroDivisionError):
            fail_after_sending(conn, b"", ZeroDivisionError)
        assert peer.drain() == (b"all", [(1, 0)])


def test_an_exception_loses_no_accepted_bytes() -> None:
    with paired() as (conn, peer):
        peer.send(ticket(), HANDSHAKE)
        taken = send_until_full(conn, octal(8 * MIB))
        with pytest.raises(ZeroDivisionError):
            fail_after_sending(conn, b"", ZeroDivisionError)
        assert peer.drain() == (taken, [(2, 80)])


def test_an_error_of_the_peer_is_answered_once() -> None:
    with paired() as (conn, peer):
        peer.send(b"\x02\x28", ALERT)
        with pytest.raises(AlertReceivedError), conn:
            conn.read()
        assert peer.drain() == (b"", [])


def test_close_wakes_a_reader_and_loses_nothing() -> None:
    with paired() as (conn, peer):
        taken = send_until_full(conn, octal(8 * MIB))
        conn.setblocking(True)
        reading = start(conn.read)
        # The reader has read it, so it waits or is about to.
        peer.send_key_update(NOT_REQUESTED)
        assert eventually(lambda: conn.rx_generation == 1)
        conn.close()
        assert isinstance(reading.exception(DEADLINE), OSError)
        peer.send(b"what comes now destroys nothing either")
        assert peer.drain() == (taken, [(1, 0)])


def test_close_wakes_a_writer_and_loses_no_sealed_bytes() -> None:
    with paired() as (conn, peer):
        peer.send(ticket(), HANDSHAKE)
        data = octal(50 * MIB)
        sending = start(lambda: conn.sendall(data))
        assert eventually(lambda: conn.unsent > 0)
        conn.close()
        assert isinstance(sending.exception(DEADLINE), OSError)
        received, alerts = peer.drain()
        assert alerts == [(1, 0)]
        assert len(received) > MIB
        assert data.startswith(received)


def test_close_does_not_wait_and_releases_the_descriptor() -> None:
    with paired() as (conn, _):  # the thread exists then, with its descriptors
        conn.close()
    assert eventually(lambda: threads_named("ktls-send") == 0)
    before = open_descriptors()
    for _ in range(20):
        with paired() as (conn, peer):
            taken = send_until_full(conn, octal(8 * MIB))
            conn.close()
            assert conn.fileno() == -1
            assert peer.drain() == (taken, [(1, 0)])
    assert eventually(lambda: open_descriptors() <= before)


def test_the_alert_of_a_failed_handshake_arrives_despite_unread_data() -> None:
    near, far = socket_pair()
    with far:
        far.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10_000)
        with pytest.raises(HandshakeError):
            Connection.server(near, server_config())
        far.sendall(b"and more")
        answered = b"".join(iter(lambda: far.recv(100), b""))
        assert answered[:1] == bytes([ALERT])
