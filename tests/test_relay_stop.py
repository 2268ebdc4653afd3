"""Relays that are stopped, or whose pair is idle, deliver everything that they have received."""

from __future__ import annotations

import socket

import pytest

import ktls_fast
from ktls_fast import KtlsError
from tests.peers.raw import ALERT, CLOSE_NOTIFY, DATA, RawPeer
from tests.peers.support import DEADLINE, start
from tests.relay_pairs import FATAL_INTERNAL_ERROR, narrow, pumped
from tests.relay_streams import RECORD, SENT, leave_little_room, receive_data, send_records
from tests.streams import read_exactly, read_to_end


def test_stalled_receiver_gets_what_was_received_before_an_idle_timeout(
    relay: ktls_fast.Relay,
) -> None:
    with pumped(relay, idle_timeout=0.3) as pair:
        leave_little_room(pair.near, pair.far)
        sending = start(lambda: send_records(pair.peer, SENT))
        assert isinstance(pair.end().error, TimeoutError)
        got = read_exactly(pair.far, pair.handle.bytes[0])
        assert SENT.startswith(got)
        pair.far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            read_to_end(pair.far)
        pair.peer.sock.close()
        sending.exception(DEADLINE)


def test_a_stop_loses_no_received_data(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        leave_little_room(pair.near, pair.far)
        send_records(pair.peer, SENT[:50_000])
        pair.handle.stop()
        reading = start(lambda: read_to_end(pair.far))
        assert pair.peer.receive() == (ALERT, CLOSE_NOTIFY)
        pair.peer.close_notify()
        assert pair.end().error is None
        assert reading.result(DEADLINE) == SENT[:50_000]


def test_a_stop_during_a_stream_resets_the_plain_side(
    relay: ktls_fast.Relay,
) -> None:
    with pumped(relay) as pair:
        pair.ended.add_done_callback(lambda _: pair.near.close())
        sending = start(lambda: _send_until_refused(pair.peer))
        read_exactly(pair.far, 100_000)
        pair.handle.stop()
        assert isinstance(pair.ended.result(DEADLINE).error, KtlsError)
        pair.far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            read_to_end(pair.far)
        pair.end()
        sending.result(DEADLINE)


def test_a_stop_during_a_stream_sends_the_peer_an_alert(
    relay: ktls_fast.Relay,
) -> None:
    with pumped(relay) as pair:
        narrow(pair)
        pair.ended.add_done_callback(lambda _: pair.near.close())
        pair.ended.add_done_callback(lambda _: pair.conn.close())
        sending = start(lambda: pair.far.sendall(bytes(8_000_000)))
        receive_data(pair.peer)
        pair.handle.stop()
        assert isinstance(pair.ended.result(DEADLINE).error, KtlsError)
        record = pair.peer.receive()
        while record[0] == DATA:
            record = pair.peer.receive()
        assert record == (ALERT, bytes(FATAL_INTERNAL_ERROR))
        with pytest.raises(OSError, match=r"(?i)pipe|reset"):
            sending.result(DEADLINE)


def _send_until_refused(peer: RawPeer) -> None:
    try:
        for _ in range(100_000):
            peer.send(bytes(RECORD))
    except ConnectionError:
        return
    pytest.fail("it was not stopped")
