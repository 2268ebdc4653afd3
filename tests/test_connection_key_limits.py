"""When a connection renews its key, and how many KeyUpdates of a peer it tolerates."""

from __future__ import annotations

import select
from contextlib import suppress

import pytest

import ktls_fast
from ktls_fast import Connection, PeerError
from tests.peers.ours import (
    RekeyLimits,
    client_config,
    connect,
    paired,
    read_exactly,
    serve_once,
    server_config,
)
from tests.peers.raw import (
    DATA,
    NOT_REQUESTED,
    REQUESTED,
    RawPeer,
)
from tests.peers.support import DEADLINE, octal, start


@pytest.mark.parametrize(
    ("limits", "updates"),
    [
        ({"rekey_bytes": 32_768, "rekey_interval": 0}, 6),
        ({"rekey_records": 4}, 3),
        ({"rekey_records": 1}, 12),
    ],
    ids=str,
)
def test_keys_are_renewed_before_their_limit(limits: RekeyLimits, updates: int) -> None:
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


def test_an_own_update_restarts_the_count() -> None:
    with paired(rekey_records=4) as (conn, peer):
        for _ in range(10):
            conn.sendall(b"abc")
            conn.key_update()
        assert peer.receive_data(30) == b"abc" * 10
        assert conn.tx_generation == 10


def test_a_storm_of_updates_is_refused() -> None:
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


def test_updates_between_enough_data_are_not_a_storm() -> None:
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


def test_a_backlog_with_little_data_that_is_read_at_once_is_not_a_storm() -> None:
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
def test_more_than_32_updates_need_data_between_them(between: bytes) -> None:
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


def test_answers_to_our_own_requests_are_not_a_storm() -> None:
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


def test_a_limit_with_a_period_of_zero_is_no_limit() -> None:
    with paired(key_update_limit=(1, 0)) as (conn, peer):
        peer.sock.sendall(b"".join(peer.sealed_key_update(NOT_REQUESTED) for _ in range(300)))
        peer.send(b"end")
        assert conn.read() == b"end"


def test_updates_for_rekey_bytes_alone_keep_the_interval() -> None:
    data = octal(2_000_000)
    with paired(rekey_bytes=4_096, rekey_interval=3600) as (conn, peer):
        sending = start(lambda: conn.sendall(data))
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)
        assert conn.tx_generation == 1


def test_the_interval_counts_from_updates_of_the_caller() -> None:
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
def test_invalid_intervals_are_refused(limits: RekeyLimits) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(limits))}: .* is not a number of seconds"):
        ktls_fast.ClientConfig("webpki", **limits)


@pytest.mark.parametrize("interval", [0, 0.15])
@pytest.mark.parametrize("rekey_peer", [False, True])
def test_two_ends_that_renew_keys_constantly_keep_the_connection(
    interval: float, *, rekey_peer: bool
) -> None:
    limits: RekeyLimits = {
        "rekey_bytes": 4096,
        "rekey_interval": interval,
        "rekey_peer": rekey_peer,
    }
    size = 64 << 20
    port, served = serve_once(lambda conn: _send_and_end(conn, size), server_config(**limits))
    with connect(port, client_config(**limits)) as conn:
        assert _receive_to_end(conn) == size
        assert conn.rx_generation >= (size // 4096 - 1 if interval == 0 else 1)
    served.result(DEADLINE)


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
