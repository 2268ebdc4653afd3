"""KeyUpdates over a kTLS socket: which side sends one, when, and under which key."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from ktls_fast import PeerError
from tests.ktls_hand_over import backend, handed_over, into_ktls, receive_exactly
from tests.peers.ours import paired
from tests.peers.raw import (
    ALERT,
    DATA,
    HANDSHAKE,
    NOT_REQUESTED,
    REQUESTED,
    handshake_message,
    key_update,
    ticket,
)
from tests.peers.support import DEADLINE, SUITES, octal, start

__all__ = ["backend"]  # a fixture

if TYPE_CHECKING:
    from ktls_fast import KtlsConnection
    from ktls_fast._backends import Backend


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_both_directions_follow_many_generations(backend: Backend, suite: int) -> None:
    with handed_over(backend, suite=suite) as (tls, peer):
        for generation in range(1, 20):
            tls.key_update()
            tls.sendall(octal(100, generation))
            assert peer.receive_key_update() == NOT_REQUESTED
            assert peer.receive() == (DATA, octal(100, generation))
            peer.send_key_update(NOT_REQUESTED)
            peer.send(octal(99, generation))
            assert tls.recv(4096) == octal(99, generation)
            assert (tls.keys.tx_generation, tls.keys.rx_generation) == (generation, generation)


def test_generations_and_numbers_go_on_from_before_the_hand_over(backend: Backend) -> None:
    with paired() as (conn, peer):
        for _ in range(3):
            conn.key_update()
            peer.send_key_update(NOT_REQUESTED)
            peer.send(b"x")
            assert conn.read() == b"x"
        conn.sendall(b"under generation 3")
        tls = into_ktls(conn, backend)
        assert (tls.keys.tx_generation, tls.keys.rx_generation) == (3, 3)
        tls.sendall(b", still")
        assert peer.receive_data(25) == b"under generation 3, still"
        tls.key_update()
        peer.send_key_update(REQUESTED)
        peer.send(b"y")
        assert tls.recv(10) == b"y"
        tls.sendall(b"end")
        assert peer.receive_data(3) == b"end"
        assert (tls.keys.tx_generation, tls.keys.rx_generation) == (5, 4)
        tls.close()


def test_a_request_is_answered_before_the_next_data(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        peer.send_key_update(REQUESTED)
        peer.send(b"question")
        assert tls.recv(100) == b"question"
        tls.sendall(b"answer")
        assert peer.receive_key_update() == NOT_REQUESTED
        assert peer.receive() == (DATA, b"answer")


def test_a_request_is_answered_by_a_reader_alone(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        reading = start(lambda: tls.recv(100))
        peer.send_key_update(REQUESTED)
        assert peer.receive_key_update() == NOT_REQUESTED
        peer.send(b"data")
        assert reading.result(DEADLINE) == b"data"


def test_a_request_of_ours_is_not_repeated_before_the_answer(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        tls.key_update(request_peer=True)
        tls.key_update(request_peer=True)
        assert [peer.receive_key_update() for _ in range(2)] == [REQUESTED, NOT_REQUESTED]
        peer.send_key_update(NOT_REQUESTED)
        peer.send(b"x")
        assert tls.recv(10) == b"x"
        tls.key_update(request_peer=True)
        assert peer.receive_key_update() == REQUESTED


def test_a_key_update_requested_before_the_hand_over_is_an_answer_after_it(
    backend: Backend,
) -> None:
    with paired(key_update_limit=(0, 1000.0)) as (conn, peer):
        conn.key_update(request_peer=True)
        tls = into_ktls(conn, backend)
        assert peer.receive_key_update() == REQUESTED
        peer.send_key_update(NOT_REQUESTED)
        peer.send(b"x")
        with pytest.raises(PeerError, match="KeyUpdate"):
            tls.recv(10)
        tls.close()


def test_a_storm_ends_the_connection_with_an_alert(backend: Backend) -> None:
    with handed_over(backend, key_update_limit=(5, 1000.0)) as (tls, peer):
        for _ in range(5):
            peer.send_key_update(NOT_REQUESTED)
        peer.send(b"data resets the count")
        assert tls.recv(100) == b"data resets the count"
        for _ in range(6):
            peer.send_key_update(NOT_REQUESTED)
        for _ in range(2):
            with pytest.raises(PeerError, match="6 KeyUpdates"):
                tls.recv(100)
        with pytest.raises(PeerError):
            tls.send(b"x")
        assert peer.receive_alert() == (2, 10)


def test_many_requests_with_data_between_them_are_followed(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        wire = b"".join(
            peer.sealed_key_update(REQUESTED) + peer.tx.seal(b"%03d" % number)
            for number in range(200)
        )
        sending = start(lambda: peer.sock.sendall(wire))
        data = receive_exactly(tls, 600)
        sending.result(DEADLINE)
        assert data == b"".join(b"%03d" % number for number in range(200))
        tls.sendall(b"after all answers")
        assert peer.receive_data(17) == b"after all answers"
        assert peer.key_updates == [NOT_REQUESTED] * tls.keys.tx_generation
        assert tls.keys.rx_generation == 200


def test_a_key_update_that_is_cut_over_records_is_followed(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        for cut in range(1, 5):
            message = key_update(REQUESTED)
            peer.send(message[:cut], HANDSHAKE)
            peer.send(message[cut:], HANDSHAKE)
            peer.tx.rekey()
            peer.send(b"after")
            assert tls.recv(100) == b"after"
            assert peer.receive_key_update() == NOT_REQUESTED
        assert tls.keys.rx_generation == 4


def test_a_long_ticket_whose_second_part_looks_like_a_key_update(backend: Backend) -> None:
    with handed_over(backend, server_side=False) as (tls, peer):
        message = handshake_message(4, ticket()[4:40] + bytes([24]) + bytes(100))
        at = message.index(24)
        peer.send(message[:at], HANDSHAKE)
        peer.send(message[at:], HANDSHAKE)
        peer.send(b"data")
        assert tls.recv(100) == b"data"
        assert tls.keys.rx_generation == 0


@pytest.mark.parametrize(
    ("record", "alert"),
    [
        (key_update(0) + b"\x04", 10),
        (key_update(2), 47),
        (handshake_message(24, b"\x00\x00"), 50),
        (ticket(), 10),
        (b"", 10),
    ],
    ids=["data behind", "bad value", "bad length", "ticket to a server", "empty"],
)
def test_what_the_rfc_forbids_is_answered_with_its_alert(
    backend: Backend, record: bytes, alert: int
) -> None:
    with handed_over(backend) as (tls, peer):
        peer.send(b"before")
        assert tls.recv(100) == b"before"
        peer.send(record, HANDSHAKE)
        with pytest.raises(PeerError, match="alert"):
            tls.recv(100)
        assert peer.receive_alert() == (2, alert)


def test_data_inside_a_handshake_message_is_refused(backend: Backend) -> None:
    with handed_over(backend, server_side=False) as (tls, peer):
        peer.send(ticket()[:10], HANDSHAKE)
        peer.send(b"data")
        with pytest.raises(PeerError, match="inside a handshake message"):
            tls.recv(100)
        assert peer.receive_alert() == (2, 10)


def test_tiny_receives_see_whole_control_records(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        for number in range(5):
            peer.send_key_update(REQUESTED)
            peer.send(b"%05d" % number)
        assert b"".join(tls.recv(1) for _ in range(25)) == b"0000000001000020000300004"
        peer.send_key_update(NOT_REQUESTED)
        peer.send(b"into")
        buffer = bytearray(3)
        assert (tls.recv_into(buffer), bytes(buffer)) == (3, b"int")
        assert (tls.recv_into(buffer), bytes(buffer[:1])) == (1, b"o")


def test_a_ticket_does_not_stay_in_the_buffer_of_the_caller(backend: Backend) -> None:
    with handed_over(backend, server_side=False) as (tls, peer):
        secret = b"S" * 300
        peer.send(handshake_message(4, ticket()[4:14] + secret), HANDSHAKE)
        peer.send(b"data")
        buffer = bytearray(1000)
        assert tls.recv_into(buffer) == 4
        assert buffer[:4] == b"data"
        assert b"SSSS" not in buffer


def test_one_thread_sends_while_another_answers(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        rounds, size = 150, 3000
        received = start(lambda: receive_exactly(tls, rounds * 4))

        def send_all() -> None:
            for number in range(rounds):
                tls.sendall(octal(size, number))

        sent = start(send_all)

        def ask_all() -> None:
            for number in range(rounds):
                peer.sock.sendall(
                    peer.sealed_key_update(REQUESTED) + peer.tx.seal(b"%04d" % number)
                )

        asking = start(ask_all)
        assert peer.receive_data(rounds * size) == b"".join(
            octal(size, number) for number in range(rounds)
        )
        for future in (sent, asking):
            future.result(DEADLINE)
        assert received.result(DEADLINE) == b"".join(b"%04d" % number for number in range(rounds))
        end = time.monotonic() + DEADLINE
        while tls.keys.owes_answer and time.monotonic() < end:
            threading.Event().wait(0.001)
        assert tls.keys.rx_generation == rounds


def test_a_full_socket_delays_an_answer_and_nothing_else(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        tls.settimeout(0)
        sent = fill(tls)
        peer.send_key_update(REQUESTED)
        peer.send(b"data")
        tls.settimeout(0.2)
        assert tls.recv(100) == b"data"
        tls.settimeout(DEADLINE)
        reading = start(lambda: tls.recv(100))
        assert peer.receive_data(sent) == bytes(sent)
        assert peer.receive_key_update() == NOT_REQUESTED
        peer.send(b"more")
        assert reading.result(DEADLINE) == b"more"


def fill(tls: KtlsConnection) -> int:
    """Send zeros until the socket is full; return how many."""
    sent = 0
    while True:
        try:
            sent += tls.send(bytes(1 << 16))
        except BlockingIOError:
            return sent


def test_alerts_and_the_end_of_the_stream(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        peer.send(b"last")
        peer.close_notify()
        assert tls.recv(100) == b"last"
        assert tls.recv(100) == b""
        assert tls.keys.closed_by_peer
        assert tls.recv(100) == b""
        tls.sendall(b"still open")
        tls.close_notify()
        tls.close_notify()
        assert peer.receive_data(10) == b"still open"
        assert peer.receive() == (ALERT, b"\x01\x00")
        with pytest.raises(BrokenPipeError):
            tls.send(b"x")
        with pytest.raises(BrokenPipeError):
            tls.key_update()
