"""A relay of many pairs: the data, and how each side learns of the other's end."""

from __future__ import annotations

import errno
import socket
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import AlertReceivedError, KtlsError, RelayHandle, TruncatedError
from tests.peers.ours import paired
from tests.peers.raw import ALERT, CLOSE_NOTIFY, DATA, NOT_REQUESTED, REQUESTED
from tests.peers.support import DEADLINE, octal, socket_pair, start
from tests.relay_pairs import (
    FATAL_INTERNAL_ERROR,
    cpu_of_relays,
    narrow,
    pumped,
    reset,
    send_until_full,
)

if TYPE_CHECKING:
    from tests.peers.raw import RawPeer


def test_bytes_and_ends_pass_both_ways_between_tls_and_plain(relay: ktls_fast.Relay) -> None:
    data = octal(300_000)
    with pumped(relay) as pair:
        sending = start(lambda: _send_and_end(pair.far, data))
        assert pair.peer.receive_data(len(data)) == data
        assert pair.peer.receive() == (ALERT, CLOSE_NOTIFY)
        sending.result(DEADLINE)
        assert not pair.handle.done
        pair.peer.send(b"after the half-close")
        pair.peer.close_notify()
        assert pair.far.recv(100) == b"after the half-close"
        assert pair.far.recv(100) == b""
        assert pair.end() is pair.handle
    assert (pair.handle.done, pair.handle.error) == (True, None)
    assert pair.handle.bytes == (20, len(data))
    assert pair.handle.records[0] == 2
    assert pair.handle.records[1] >= len(data) // 16384 + 1
    stats = relay.stats()
    assert stats == {"threads": 1, "open": 0, "ended": 1, "failed": 0, "bytes": 20 + len(data)}


def test_bytes_and_ends_pass_both_ways_between_two_connections(relay: ktls_fast.Relay) -> None:
    data = octal(200_000)
    ended: Future[RelayHandle] = Future()
    with paired() as (left, peer), paired(server_side=False, suite=0x1303) as (right, other):
        relay.add(left, right, on_close=ended.set_result)
        sending = start(lambda: _send_in_records(peer, data))
        assert other.receive_data(len(data)) == data
        sending.result(DEADLINE)
        peer.close_notify()
        assert other.receive() == (ALERT, CLOSE_NOTIFY)
        other.send(b"after the half-close")
        assert peer.receive() == (DATA, b"after the half-close")
        other.close_notify()
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        handle = ended.result(DEADLINE)
    assert (handle.error, handle.bytes) == (None, (len(data), 20))
    assert handle.records == (21, 2)


def test_fifty_pairs_share_two_threads() -> None:
    with ktls_fast.Relay(threads=2) as relay, ExitStack() as stack:
        pairs = [stack.enter_context(pumped(relay)) for _ in range(50)]
        assert len(relay) == 50
        for number, pair in enumerate(pairs):
            pair.peer.send(b"request %d" % number)
        for number, pair in enumerate(pairs):
            assert pair.far.recv(100) == b"request %d" % number
            pair.far.sendall(b"answer %d" % number)
        for number, pair in enumerate(pairs):
            assert pair.peer.receive() == (DATA, b"answer %d" % number)
            pair.peer.close_notify()
            pair.far.close()
        assert all(pair.end().error is None for pair in pairs)
        assert (len(relay), relay.stats()["ended"]) == (0, 50)


def test_reader_that_does_not_read_stops_its_pair_and_no_other(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as stuck, pumped(relay) as other:
        sent = send_until_full(stuck.far)
        for _ in range(20):
            other.far.sendall(b"goes on")
            assert other.peer.receive() == (DATA, b"goes on")
        # The accepted bytes are in the buffers of TCP on both ways, and few of them in ours.
        assert stuck.handle.bytes[1] <= sent
        assert stuck.conn.unsent < 1 << 20
        assert not stuck.handle.done
        stuck.far.shutdown(socket.SHUT_WR)
        assert len(stuck.peer.receive_data(sent)) == sent
        assert stuck.peer.receive() == (ALERT, CLOSE_NOTIFY)


def test_last_bytes_arrive_at_a_slow_reader(relay: ktls_fast.Relay) -> None:
    """The bytes that did not fit into TCP's buffers are sent without a further event."""
    with pumped(relay) as pair:
        narrow(pair)
        pair.far.sendall(octal(60_000))
        assert pair.peer.receive_data(60_000) == octal(60_000)


def test_idle_pair_ends_with_an_alert_and_a_reset(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as patient, pumped(relay, idle_timeout=0.05) as pair:
        handle = pair.end()
        assert isinstance(handle.error, TimeoutError)
        assert handle.error is handle.error
        assert pair.peer.receive_alert() == FATAL_INTERNAL_ERROR
        with pytest.raises(ConnectionResetError):
            pair.far.recv(1)
        assert not patient.handle.done


def test_reset_of_the_plain_side_is_an_alert_to_the_peer(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        reset(pair.far)
        assert pair.peer.receive_alert() == FATAL_INTERNAL_ERROR
        error = pair.end().error
        assert isinstance(error, ConnectionResetError)
        assert error.errno == errno.ECONNRESET
        assert "the plain side" in str(error)
    assert relay.stats()["failed"] == 1


def test_truncation_by_the_peer_is_a_reset_of_the_plain_side(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.peer.sock.shutdown(socket.SHUT_WR)
        assert isinstance(pair.end().error, TruncatedError)
        with pytest.raises(ConnectionResetError):
            pair.far.recv(100)


def test_alert_of_one_peer_is_an_alert_to_the_other(relay: ktls_fast.Relay) -> None:
    ended: Future[RelayHandle] = Future()
    with paired() as (left, peer), paired() as (right, other):
        relay.add(left, right, on_close=ended.set_result)
        peer.send(bytes(FATAL_INTERNAL_ERROR), ALERT)
        assert other.receive_alert() == FATAL_INTERNAL_ERROR
        assert isinstance(ended.result(DEADLINE).error, AlertReceivedError)


def test_key_updates_of_both_sides_are_transparent(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        for number in range(20):
            pair.peer.send_key_update(REQUESTED if number % 2 else NOT_REQUESTED)
            pair.peer.send(b"there %d" % number)
            assert pair.far.recv(100) == b"there %d" % number
            pair.conn.key_update()
            pair.far.sendall(b"back")
            assert pair.peer.receive_data(4) == b"back"
        assert (pair.conn.rx_generation, pair.conn.tx_generation) == (20, 30)
        assert not pair.handle.done


def test_a_connection_in_use_is_refused_and_keeps_working(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    with near, far, pumped(relay) as pair:
        with pytest.raises(BlockingIOError, match="another thread or relay"):
            relay.add(pair.conn, near)
        with pytest.raises(BlockingIOError, match="another thread or relay"):
            relay.add(near, pair.conn)
        pair.conn.settimeout(0)
        with pytest.raises(BlockingIOError):
            pair.conn.read()
        pair.far.sendall(b"undisturbed")
        assert pair.peer.receive() == (DATA, b"undisturbed")
        assert len(relay) == 1


def test_sides_that_cannot_be_pumped_are_refused(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    closed = socket.socket()
    closed.close()
    with near, far, paired() as (conn, _):
        with pytest.raises(KtlsError, match="two plain sockets") as caught:
            relay.add(near, far)
        assert caught.value.errno == errno.EINVAL
        with pytest.raises(TypeError, match="'int'> is neither a Connection, a KtlsSocket nor"):
            relay.add(conn, 3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="cannot be called"):
            relay.add(conn, near, on_close=3)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="-1"):
            relay.add(conn, near, idle_timeout=-1)
        with pytest.raises(OSError, match="descriptor"):
            relay.add(conn, closed)
        with pytest.raises(BlockingIOError):
            relay.add(conn, conn)
        assert len(relay) == 0
        assert relay.add(conn, near).error is None


def test_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="0 threads"):
        ktls_fast.Relay(0)


def test_idle_relay_uses_no_processor(relay: ktls_fast.Relay) -> None:
    """A side that has closed, and needs no wait, must not wake up the thread forever."""
    with pumped(relay, idle_timeout=600) as pair:
        pair.peer.send(b"x")
        assert pair.far.recv(1) == b"x"
        pair.far.shutdown(socket.SHUT_WR)
        assert pair.peer.receive() == (ALERT, CLOSE_NOTIFY)
        before = cpu_of_relays()
        waiting = threading.Event()
        assert not waiting.wait(0.3)
        assert cpu_of_relays() - before <= 2


def _send_in_records(peer: RawPeer, data: bytes) -> None:
    for at in range(0, len(data), 10_000):
        peer.send(data[at : at + 10_000])


def _send_and_end(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
