"""KeyUpdates of a connection: which side sends one, when, and under which key (RFC 9846 §4.7.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.ours import (
    paired,
    read_exactly,
)
from tests.peers.raw import (
    DATA,
    HANDSHAKE,
    NOT_REQUESTED,
    REQUESTED,
    RawPeer,
    key_update,
    ticket,
)
from tests.peers.support import DEADLINE, SUITES, octal, start

if TYPE_CHECKING:
    from ktls_fast import Connection


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_both_directions_follow_many_generations(suite: int) -> None:
    with paired(suite=suite) as (conn, peer):
        for generation in range(1, 30):
            conn.key_update()
            conn.sendall(octal(100, generation))
            assert peer.receive_key_update() == NOT_REQUESTED
            assert peer.receive() == (DATA, octal(100, generation))
            peer.send_key_update(NOT_REQUESTED)
            peer.send(octal(99, generation))
            assert conn.read() == octal(99, generation)
            assert (conn.tx_generation, conn.rx_generation) == (generation, generation)


def test_an_update_is_sent_at_once() -> None:
    with paired() as (conn, peer):
        conn.key_update()
        assert peer.receive_key_update() == NOT_REQUESTED


def test_request_is_answered_before_the_next_data() -> None:
    with paired() as (conn, peer):
        peer.send_key_update(REQUESTED)
        peer.send(b"question")
        assert conn.read() == b"question"
        conn.sendall(b"answer")
        assert peer.receive_key_update() == NOT_REQUESTED
        assert peer.receive() == (DATA, b"answer")


def test_a_request_right_after_data_is_answered_before_the_next_data() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"question") + peer.sealed_key_update(REQUESTED))
        assert conn.read() == b"question"
        conn.sendall(b"answer")
        assert peer.receive_key_update() == NOT_REQUESTED
        assert peer.receive() == (DATA, b"answer")


def test_a_request_right_after_data_needs_no_further_call() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"data") + peer.sealed_key_update(REQUESTED))
        assert conn.read() == b"data"
        assert peer.receive_key_update() == NOT_REQUESTED


def test_request_is_answered_when_the_application_only_reads() -> None:
    with paired() as (conn, peer):
        peer.send_key_update(REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        assert peer.receive_key_update() == NOT_REQUESTED


def test_request_without_data_is_answered_by_a_waiting_read() -> None:
    with paired() as (conn, peer):
        reading = start(conn.read)
        peer.send_key_update(REQUESTED)
        assert peer.receive_key_update() == NOT_REQUESTED
        peer.send(b"data")
        assert reading.result(DEADLINE) == b"data"


def test_update_without_request_is_not_answered() -> None:
    with paired() as (conn, peer):
        peer.send_key_update(NOT_REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        conn.sendall(b"no update before this")
        assert peer.receive() == (DATA, b"no update before this")


def test_requests_in_a_row_are_all_covered() -> None:
    with paired() as (conn, peer):
        wire = b"".join(peer.sealed_key_update(REQUESTED) for _ in range(5))
        peer.sock.sendall(wire + peer.tx.seal(b"data"))
        assert conn.read() == b"data"
        conn.sendall(b"end")
        assert peer.receive_data(3) == b"end"
        # One answer may cover what was received before it was sent.
        assert 1 <= len(peer.key_updates) <= 5
        assert set(peer.key_updates) == {NOT_REQUESTED}


def test_each_request_after_an_answer_is_answered_again() -> None:
    with paired() as (conn, peer):
        for turn in range(10):
            peer.send_key_update(REQUESTED)
            peer.send(b"data")
            assert conn.read() == b"data"
            assert peer.receive_key_update() == NOT_REQUESTED
            assert conn.tx_generation == turn + 1


def test_at_most_one_request_is_outstanding() -> None:
    with paired() as (conn, peer):
        conn.key_update(request_peer=True)
        conn.key_update(request_peer=True)
        assert [peer.receive_key_update() for _ in range(2)] == [REQUESTED, NOT_REQUESTED]
        peer.send_key_update(NOT_REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        conn.key_update(request_peer=True)
        assert peer.receive_key_update() == REQUESTED


def test_requests_that_cross_are_both_answered() -> None:
    with paired() as (conn, peer):
        conn.key_update(request_peer=True)
        peer.send_key_update(REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        assert [peer.receive_key_update() for _ in range(2)] == [REQUESTED, NOT_REQUESTED]
        # The peer's crossing update is its answer, so a new request may be sent.
        conn.key_update(request_peer=True)
        assert peer.receive_key_update() == REQUESTED


def test_update_in_fragments_is_followed() -> None:
    with paired() as (conn, peer):
        for byte in key_update(NOT_REQUESTED):
            peer.send(bytes([byte]), HANDSHAKE)
        peer.tx.rekey()
        peer.send(b"data")
        assert conn.read() == b"data"
        assert conn.rx_generation == 1


def test_a_client_accepts_an_update_after_a_ticket_in_one_record() -> None:
    with paired(server_side=False) as (conn, peer):
        peer.send(ticket() + ticket(200) + key_update(REQUESTED), HANDSHAKE)
        peer.tx.rekey()
        peer.send(b"data")
        assert conn.read() == b"data"
        assert peer.receive_key_update() == NOT_REQUESTED


def test_padded_update_is_followed() -> None:
    with paired() as (conn, peer):
        peer.send(key_update(NOT_REQUESTED), HANDSHAKE, padding=16_000)
        peer.tx.rekey()
        peer.send(b"data", padding=1)
        assert conn.read() == b"data"


def test_data_on_both_sides_of_an_update_is_kept_in_order() -> None:
    with paired() as (conn, peer):
        wire = b"".join(
            peer.tx.seal(octal(300, turn)) + peer.sealed_key_update(NOT_REQUESTED)
            for turn in range(40)
        )
        peer.sock.sendall(wire)
        expected = b"".join(octal(300, turn) for turn in range(40))
        assert read_exactly(conn, len(expected)) == expected


def test_update_after_close_notify_is_refused() -> None:
    with paired() as (conn, _):
        conn.close_notify()
        with pytest.raises(BrokenPipeError, match="close_notify"):
            conn.key_update()


def test_a_request_after_our_close_notify_is_ignored() -> None:
    with paired() as (conn, peer):
        conn.close_notify()
        peer.send_key_update(REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        conn.close()
        assert peer.drain() == (b"", [(1, 0)])
        assert peer.key_updates == []


def test_reading_continues_while_an_answer_waits_for_room() -> None:
    data = octal(8_000_000)
    with paired() as (conn, peer):
        sending = start(lambda: conn.sendall(data))
        # The peer does not read, so the writer is blocked, and so are the answers.
        for turn in range(20):
            peer.send_key_update(REQUESTED)
            peer.send(octal(100, turn))
            assert read_exactly(conn, 100) == octal(100, turn)
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)
        conn.sendall(b"end")
        assert peer.receive_data(3) == b"end"
        assert 1 <= len(peer.key_updates) <= 20


def test_threads_read_write_and_update_at_once() -> None:
    up, down = octal(2_000_000, seed=1), octal(3_000_000, seed=2)
    with paired(rekey_bytes=100_000) as (conn, peer):
        reading = start(lambda: read_exactly(conn, len(up)))
        sending = start(lambda: conn.sendall(down))
        updating = start(lambda: _update_often(conn))
        feeding = start(lambda: _send_with_updates(peer, up))
        assert peer.receive_data(len(down)) == down
        for task in (sending, updating, feeding):
            task.result(DEADLINE)
        assert reading.result(DEADLINE) == up


def _update_often(conn: Connection) -> None:
    for turn in range(50):
        conn.key_update(request_peer=turn % 2 == 0)


def _send_with_updates(peer: RawPeer, data: bytes) -> None:
    for at in range(0, len(data), 10_000):
        peer.send(data[at : at + 10_000])
        if at % 50_000 == 0:
            peer.send_key_update(REQUESTED)
