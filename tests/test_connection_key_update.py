"""KeyUpdates of a connection: who sends one, when, and under which key (RFC 9846 §4.7.3)."""

from __future__ import annotations

import select
from contextlib import suppress

import pytest

import ktls_fast
from ktls_fast import Connection, PeerError
from tests.peers.ours import (
    Limits,
    client_config,
    connect,
    paired,
    read_exactly,
    serve_once,
    server_config,
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


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_both_directions_through_many_generations(suite: int) -> None:
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


def test_update_goes_out_at_once() -> None:
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


def test_request_right_behind_data_is_answered_before_the_next_data() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"question") + peer.sealed_key_update(REQUESTED))
        assert conn.read() == b"question"
        conn.sendall(b"answer")
        assert peer.receive_key_update() == NOT_REQUESTED
        assert peer.receive() == (DATA, b"answer")


def test_request_right_behind_data_waits_for_no_further_call() -> None:
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
        # The peer's crossing update is its answer: it may be asked again.
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


def test_client_takes_an_update_behind_a_ticket_in_one_record() -> None:
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


@pytest.mark.parametrize(
    ("limits", "updates"),
    [
        ({"rekey_bytes": 32_768, "rekey_interval": 0}, 6),
        ({"rekey_records": 4}, 3),
        ({"rekey_records": 1}, 12),
    ],
    ids=str,
)
def test_keys_are_renewed_before_their_limit(limits: Limits, updates: int) -> None:
    data = octal(12 * 16_384 + 1)
    with paired(**limits) as (conn, peer):
        sending = start(lambda: conn.sendall(data))
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)
        assert peer.key_updates == [NOT_REQUESTED] * conn.tx_generation
        assert conn.tx_generation >= updates


def test_no_key_seals_more_than_it_may() -> None:
    with paired(rekey_records=3) as (conn, peer):
        for turn in range(50):
            conn.sendall(octal(10, turn))
        conn.sendall(b"the end")
        conn.close_notify()
        assert _most_records_under_one_key(peer) <= 3 + 1  # the KeyUpdate itself


def test_own_update_restarts_the_count() -> None:
    with paired(rekey_records=4) as (conn, peer):
        for _ in range(10):
            conn.sendall(b"abc")
            conn.key_update()
        assert peer.receive_data(30) == b"abc" * 10
        assert conn.tx_generation == 10


def test_storm_of_updates_is_refused() -> None:
    with paired(key_update_limit=(8, 60.0)) as (conn, peer):
        for _ in range(8):
            peer.send_key_update(NOT_REQUESTED)
        peer.send(b"still fine")
        assert conn.read() == b"still fine"
        for _ in range(9):
            peer.send_key_update(NOT_REQUESTED)
        with pytest.raises(PeerError, match="9 KeyUpdates without application data"):
            conn.read()
        assert peer.receive_alert()[0] == 2


def test_updates_among_enough_data_are_no_storm() -> None:
    with paired(key_update_limit=(8, 60.0)) as (conn, peer):
        for turn in range(40):
            peer.send(octal(16_384, turn))
            peer.send_key_update(REQUESTED)
            assert read_exactly(conn, 16_384) == octal(16_384, turn)
        peer.send(b"end")
        assert conn.read() == b"end"
        assert conn.rx_generation == 40


@pytest.mark.parametrize("length", [1, 3_700, 16_384])
def test_updates_with_data_between_them_are_never_a_storm(length: int) -> None:
    turns = 2_000_000 // (length + 2_000)
    with paired() as (conn, peer):
        feeding = start(lambda: _send_with_update_behind_each(peer, length, turns))
        assert read_exactly(conn, length * turns) == b"".join(
            octal(length, turn) for turn in range(turns)
        )
        feeding.result(DEADLINE)
        peer.send(b"end")
        assert conn.read() == b"end"
        assert conn.rx_generation == turns


def test_a_backlog_with_little_data_is_no_storm_when_it_is_read_at_once() -> None:
    with paired() as (conn, peer):
        wire = b"".join(
            peer.tx.seal(b"x") + peer.sealed_key_update(NOT_REQUESTED) for _ in range(1_500)
        )
        peer.sock.sendall(wire + peer.tx.seal(b"end"))
        assert read_exactly(conn, 1_503) == b"x" * 1_500 + b"end"


@pytest.mark.parametrize("reply", [NOT_REQUESTED, REQUESTED])
def test_thirty_two_updates_in_a_row_are_tolerated(reply: int) -> None:
    with paired(key_update_limit=(32, 60.0)) as (conn, peer):
        for _ in range(3):
            peer.sock.sendall(b"".join(peer.sealed_key_update(reply) for _ in range(32)))
            peer.send(b"data")
            assert conn.read() == b"data"
        assert conn.rx_generation == 96


@pytest.mark.parametrize("between", [b"", b"."], ids=["nothing", "data"])
def test_only_data_between_updates_makes_more_than_32_of_them_legal(between: bytes) -> None:
    with paired(key_update_limit=(32, 60.0)) as (conn, peer):
        for _ in range(33):
            peer.sock.sendall(peer.sealed_key_update(NOT_REQUESTED) + peer.tx.seal(between))
        peer.send(b"end")
        if between:
            assert read_exactly(conn, 36) == b"." * 33 + b"end"
            return
        with pytest.raises(PeerError, match="33 KeyUpdates without application data"):
            conn.read()
        assert peer.receive_alert() == (2, 10)  # unexpected_message


def test_answers_to_our_own_requests_are_no_storm() -> None:
    with paired(key_update_limit=(2, 60.0)) as (conn, peer):
        for turn in range(20):
            conn.key_update(request_peer=True)
            assert peer.receive_key_update() == REQUESTED, turn
            peer.send_key_update(NOT_REQUESTED)
            assert select.select([conn], [], [], DEADLINE)[0]
            conn.setblocking(False)
            with suppress(BlockingIOError):
                conn.read()
            conn.settimeout(DEADLINE)
        assert conn.rx_generation == 20
        peer.send(b"end")
        assert conn.read() == b"end"


def test_a_limit_of_no_time_is_no_limit() -> None:
    with paired(key_update_limit=(1, 0)) as (conn, peer):
        peer.sock.sendall(b"".join(peer.sealed_key_update(NOT_REQUESTED) for _ in range(300)))
        peer.send(b"end")
        assert conn.read() == b"end"


def test_updates_that_only_rekey_bytes_asks_for_keep_their_distance() -> None:
    data = octal(2_000_000)
    with paired(rekey_bytes=4_096, rekey_interval=3600) as (conn, peer):
        sending = start(lambda: conn.sendall(data))
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)
        assert conn.tx_generation == 1


def test_the_interval_counts_from_updates_that_the_caller_asked_for() -> None:
    with paired(rekey_bytes=100, rekey_interval=3600) as (conn, peer):
        conn.key_update()
        for _ in range(5):
            conn.sendall(bytes(1_000))
        assert peer.receive_data(5_000) == bytes(5_000)
        assert conn.tx_generation == 1
        conn.key_update()
        assert peer.receive_key_update() == NOT_REQUESTED


def test_the_limit_of_a_key_does_not_wait_for_the_interval() -> None:
    with paired(rekey_bytes=100, rekey_records=2, rekey_interval=3600) as (conn, peer):
        for _ in range(10):
            conn.sendall(bytes(50))
        assert peer.receive_data(500) == bytes(500)
        assert conn.tx_generation >= 4


def test_a_request_of_the_peer_does_not_wait_for_the_interval() -> None:
    with paired(rekey_bytes=100, rekey_interval=3600) as (conn, peer):
        conn.key_update()
        assert peer.receive_key_update() == NOT_REQUESTED
        peer.send_key_update(REQUESTED)
        peer.send(b"x")
        assert conn.read() == b"x"
        assert peer.receive_key_update() == NOT_REQUESTED


@pytest.mark.parametrize(
    "limits",
    [
        {"rekey_interval": -0.1},
        {"rekey_interval": float("nan")},
        {"rekey_interval": float("inf")},
        {"key_update_limit": (1, -1.0)},
    ],
    ids=str,
)
def test_times_that_are_none_are_refused(limits: Limits) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(limits))}: .* is not a number of seconds"):
        ktls_fast.ClientConfig("webpki", **limits)


@pytest.mark.parametrize("interval", [0, 0.15])
@pytest.mark.parametrize("rekey_peer", [False, True])
def test_two_ends_that_renew_keys_all_the_time_do_not_cut_each_other(
    interval: float, *, rekey_peer: bool
) -> None:
    limits: Limits = {"rekey_bytes": 4096, "rekey_interval": interval, "rekey_peer": rekey_peer}
    size = 64 << 20
    port, served = serve_once(lambda conn: _send_and_end(conn, size), server_config(**limits))
    with connect(port, client_config(**limits)) as conn:
        assert _receive_to_end(conn) == size
        assert conn.rx_generation >= (size // 4096 - 1 if interval == 0 else 1)
    served.result(DEADLINE)


def test_update_after_close_notify_is_refused() -> None:
    with paired() as (conn, _):
        conn.close_notify()
        with pytest.raises(BrokenPipeError, match="close_notify"):
            conn.key_update()


def test_request_after_our_close_notify_is_read_over() -> None:
    with paired() as (conn, peer):
        conn.close_notify()
        peer.send_key_update(REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        conn.close()
        assert peer.drain() == (b"", [(1, 0)])
        assert peer.key_updates == []


def test_reading_goes_on_while_an_answer_waits_for_room() -> None:
    data = octal(8_000_000)
    with paired() as (conn, peer):
        sending = start(lambda: conn.sendall(data))
        # Nobody reads at the peer, so that the writer is stuck and the answers are, too.
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


def _send_with_update_behind_each(peer: RawPeer, length: int, turns: int) -> None:
    for turn in range(turns):
        peer.sock.sendall(peer.tx.seal(octal(length, turn)) + peer.sealed_key_update(NOT_REQUESTED))


def _send_and_end(conn: Connection, size: int) -> None:
    piece = bytes(1 << 20)
    for _ in range(size >> 20):
        conn.sendall(piece)
    conn.close_notify()
    assert conn.read() == b""


def _receive_to_end(conn: Connection) -> int:
    buffer, total = bytearray(1 << 18), 0
    while count := conn.recv_into(buffer):
        total += count
    return total


def _update_often(conn: Connection) -> None:
    for turn in range(50):
        conn.key_update(request_peer=turn % 2 == 0)


def _send_with_updates(peer: RawPeer, data: bytes) -> None:
    for at in range(0, len(data), 10_000):
        peer.send(data[at : at + 10_000])
        if at % 50_000 == 0:
            peer.send_key_update(REQUESTED)


def _most_records_under_one_key(peer: RawPeer) -> int:
    most = count = 0
    generation = 0
    while True:
        record_type, data = peer.receive()
        count += 1
        most = max(most, count)
        if peer.rx.generation != generation:
            generation, count = peer.rx.generation, 0
        if record_type == DATA and data == b"the end":
            return most
