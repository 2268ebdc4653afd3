"""Truncated streams through a relay: what was received is delivered, and the loss is reported."""

from __future__ import annotations

import fcntl
import select
import socket
import termios
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import KtlsError, PeerError, TruncatedError
from tests.peers.ours import paired
from tests.peers.raw import ALERT, CLOSE_NOTIFY, DATA, RawPeer, header
from tests.peers.support import DEADLINE, socket_pair, start
from tests.relay_pairs import FATAL_INTERNAL_ERROR, pumped, reset
from tests.streams import read_exactly, read_to_end

if TYPE_CHECKING:
    from collections.abc import Callable
from tests.relay_streams import RECORD, SENT, leave_little_room, receive_data, send_records


def _bad_record(peer: RawPeer) -> None:
    peer.sock.sendall(header(40) + bytes(40))


def _fatal_alert(peer: RawPeer) -> None:
    peer.send(bytes(FATAL_INTERNAL_ERROR), ALERT)


def _wait_until_delivered(sock: socket.socket) -> None:
    """Wait until the other end's TCP has received everything, as a reset drops the rest."""
    for _ in range(10_000):
        unacknowledged = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
        if unacknowledged == bytes(4):
            return
        threading.Event().wait(0.002)
    pytest.fail("the other end did not acknowledge everything")


def _wait_until_readable(sock: socket.socket) -> None:
    assert select.select([sock], [], [], DEADLINE)[0]


def _reset(peer: RawPeer) -> None:
    _wait_until_delivered(peer.sock)
    reset(peer.sock)


def _fin_in_a_record(peer: RawPeer) -> None:
    peer.sock.sendall(header(1000) + bytes(10))
    peer.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (_bad_record, PeerError),
        (_fatal_alert, KtlsError),
        (_reset, ConnectionResetError),
        (_fin_in_a_record, TruncatedError),
    ],
)
def test_an_error_of_the_peer_follows_all_its_data(
    relay: ktls_fast.Relay, fail: Callable[[RawPeer], None], error: type[OSError]
) -> None:
    with pumped(relay) as pair:
        pair.ended.add_done_callback(lambda _: pair.near.close())
        sending = start(lambda: _send_and(fail, pair.peer, SENT))
        got = read_exactly(pair.far, len(SENT))
        sending.result(DEADLINE)
        # It fails if the reset has arrived already; the call that reads raises the error then.
        with suppress(OSError):
            pair.far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            pair.far.recv(1)
        assert got == SENT
        assert isinstance(pair.end().error, error)


@pytest.mark.parametrize("fail", [_bad_record, _reset, _fin_in_a_record])
def test_a_slow_receiver_gets_everything_before_an_error(
    relay: ktls_fast.Relay, fail: Callable[[RawPeer], None]
) -> None:
    with pumped(relay) as pair:
        leave_little_room(pair.near, pair.far)
        pair.ended.add_done_callback(lambda _: pair.near.close())
        sending = start(lambda: _send_and(fail, pair.peer, SENT[:200_000]))
        sending.result(DEADLINE)
        got = read_exactly(pair.far, 1)
        for _ in range(20):
            got += read_exactly(pair.far, 1000)
        got += read_exactly(pair.far, 200_000 - len(got))
        assert got == SENT[:200_000]
        pair.far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            pair.far.recv(1)
        assert pair.end().error is not None


def test_a_reset_of_the_plain_side_follows_all_its_data(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.ended.add_done_callback(lambda _: pair.conn.close())
        pair.far.sendall(SENT)
        got = b"".join(receive_data(pair.peer) for _ in range(3))
        reset(pair.far)
        record = pair.peer.receive()
        while record[0] == DATA:
            got += record[1]
            record = pair.peer.receive()
        assert record == (ALERT, bytes(FATAL_INTERNAL_ERROR))
        # A reset drops bytes that TCP has not sent yet, but none that it has delivered.
        assert len(got) > 3 * RECORD
        assert SENT.startswith(got)
        assert isinstance(pair.end().error, ConnectionResetError)


def test_a_reset_that_a_write_meets_is_not_an_orderly_end(relay: ktls_fast.Relay) -> None:
    """The system reports it once, to the write. A read then returns the end of the stream."""
    with pumped(relay) as pair:
        pair.far.sendall(b"the first half")
        assert receive_data(pair.peer) == b"the first half"
        records = [pair.peer.tx.seal(bytes(RECORD)) for _ in range(20)]
        reset(pair.far)
        pair.peer.sock.sendall(b"".join(records))
        record_type, text = pair.peer.receive()
        assert (record_type, text) == (ALERT, bytes(FATAL_INTERNAL_ERROR))
        assert isinstance(pair.end().error, ConnectionResetError | BrokenPipeError)


def test_an_answer_received_before_the_peer_closed_is_passed_on(relay: ktls_fast.Relay) -> None:
    """A write to a peer that has closed fails; the data that it sent before can be read."""
    with pumped(relay) as pair:
        send_records(pair.peer, SENT[:200_000])
        pair.peer.close_notify()
        _wait_until_delivered(pair.peer.sock)
        pair.peer.sock.close()
        for _ in range(50):
            pair.far.sendall(bytes(1000))
        got = b""
        while more := pair.far.recv(65536):
            got += more
        assert got == SENT[:200_000]
        pair.far.close()
        pair.end()


def test_a_silent_peer_is_notified_of_a_truncation_within_seconds(
    relay: ktls_fast.Relay,
) -> None:
    with pumped(relay) as pair:
        pair.peer.send(b"all that there is")
        pair.peer.sock.shutdown(socket.SHUT_WR)
        assert pair.far.recv(100) == b"all that there is"
        pair.far.settimeout(1)
        with pytest.raises(TimeoutError):
            pair.far.recv(1)
        pair.far.settimeout(DEADLINE)
        pair.ended.result(DEADLINE)
        handle = pair.end()
        with pytest.raises(ConnectionResetError):
            pair.far.recv(1)
        assert isinstance(handle.error, TruncatedError)
        assert handle.truncated == 0
    assert relay.stats()["failed"] == 0


def test_truncation_as_fin_is_an_ordinary_end(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    with near, far, paired() as (conn, peer):
        handle = relay.add(conn, near, truncation="fin")
        peer.send(b"all that there is")
        peer.sock.shutdown(socket.SHUT_WR)
        assert far.recv(100) == b"all that there is"
        assert far.recv(100) == b""
        far.sendall(b"answer")
        assert peer.receive() == (DATA, b"answer")
        far.shutdown(socket.SHUT_WR)
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        relay.close()
        assert (handle.error, handle.truncated) == (None, 0)


def test_an_orderly_end_is_not_a_truncation(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.peer.close_notify()
        pair.far.close()
        assert pair.end().truncated is None


@pytest.mark.parametrize("answer", [0, 100, 3_000_000])
@pytest.mark.parametrize("unread", [1, 5, 20_000])
def test_a_reset_after_a_close_notify_is_not_a_failure(
    relay: ktls_fast.Relay, unread: int, answer: int
) -> None:
    """The system sends a reset if data, such as session tickets, is unread at a close."""
    with pumped(relay) as pair:
        pair.far.sendall(bytes(unread))
        _wait_until_readable(pair.peer.sock)
        pair.peer.send(b"all that there is")
        pair.peer.close_notify()
        _wait_until_delivered(pair.peer.sock)
        pair.peer.sock.close()
        assert read_to_end(pair.far) == b"all that there is"
        with suppress(BrokenPipeError, ConnectionResetError):
            pair.far.sendall(bytes(answer))
        pair.far.close()
        assert pair.end().error is None
    assert relay.stats()["failed"] == 0


def test_reset_without_a_close_notify_is_a_failure(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.far.sendall(b"unread")
        _wait_until_readable(pair.peer.sock)
        pair.peer.send(b"a part, perhaps")
        _wait_until_delivered(pair.peer.sock)
        pair.peer.sock.close()
        assert pair.far.recv(100) == b"a part, perhaps"
        assert isinstance(pair.end().error, ConnectionResetError)
    assert relay.stats()["failed"] == 1


def test_a_truncation_between_two_connections_sends_an_alert(relay: ktls_fast.Relay) -> None:
    with paired() as (first, left), paired() as (second, right):
        handle = relay.add(first, second)
        send_records(left, SENT[:RECORD])
        left.sock.shutdown(socket.SHUT_WR)
        assert receive_data(right) == SENT[:RECORD]
        right.send(b"answer")
        assert left.receive() == (DATA, b"answer")
        right.close_notify()
        assert left.receive() == (ALERT, CLOSE_NOTIFY)
        assert right.receive() == (ALERT, bytes(FATAL_INTERNAL_ERROR))
        relay.close()
        assert isinstance(handle.error, TruncatedError)


def test_other_words_for_truncation_are_refused(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    with near, far, paired() as (conn, peer):
        with pytest.raises(ValueError, match='truncation is "close"'):
            relay.add(conn, near, truncation="close")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match='truncation is "FIN"'):
            conn.relay(near, truncation="FIN")  # type: ignore[arg-type]
        peer.send(b"as before")
        assert conn.read() == b"as before"


def test_relay_of_one_pair_delivers_before_it_raises() -> None:
    near, far = socket_pair()
    with near, far, paired() as (conn, peer):
        relaying = start(lambda: conn.relay(near))
        sending = start(lambda: _send_and(_bad_record, peer, SENT))
        got = read_exactly(far, len(SENT))
        sending.result(DEADLINE)
        with pytest.raises(PeerError):
            relaying.result(DEADLINE)
        assert got == SENT


def test_relay_of_one_pair_treats_a_truncation_as_an_end_if_configured() -> None:
    near, far = socket_pair()
    with near, far, paired() as (conn, peer):
        relaying = start(lambda: conn.relay(near, truncation="fin"))
        peer.send(b"part")
        peer.sock.shutdown(socket.SHUT_WR)
        assert far.recv(100) == b"part"
        assert far.recv(100) == b""
        far.close()
        assert relaying.result(DEADLINE) == (4, 0)


def _send_and(fail: Callable[[RawPeer], None], peer: RawPeer, data: bytes) -> None:
    send_records(peer, data)
    fail(peer)
