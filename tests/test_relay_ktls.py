"""A relay with a KtlsSocket as a side: the data, and orderly ends."""

from __future__ import annotations

import random
import socket
import threading

import numpy as np
import pytest

import ktls_fast
from tests.ktls_ends import MORE
from tests.peers.support import DEADLINE, octal, start
from tests.reference import CHACHA20_POLY1305
from tests.relay_ktls import (
    ENDLESS,
    KINDS,
    far_sealer,
    finish,
    ktls_link,
    link,
    narrow,
    pumped,
    receive_all,
    receive_exactly,
    send_and_finish,
    send_raw,
)
from tests.relay_pairs import cpu_of_relays, send_until_full

MIB = 1 << 20


@pytest.mark.parametrize("kind", [*KINDS, "ktls12"])
@pytest.mark.parametrize("first", ["ktls", "ktls12"])
def test_bytes_pass_both_ways_at_once(relay: ktls_fast.Relay, first: str, kind: str) -> None:
    there, back = octal(3 * MIB, 1), octal(2 * MIB, 2)
    with pumped(relay, kind, first) as pair:
        sending = [
            start(lambda: send_and_finish(pair.far_a, there)),
            start(lambda: send_and_finish(pair.far_b, back)),
        ]
        receiving = start(lambda: receive_all(pair.far_a))
        assert receive_all(pair.far_b) == there
        assert receiving.result(DEADLINE) == back
        assert [sent.result(DEADLINE) for sent in sending] == [None, None]
        handle = pair.end()
    assert (handle.error, handle.control) == (None, None)
    assert handle.bytes == (len(there), len(back))
    assert handle.records[0] == len(there) // 16384


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_ktls_peer_is_passed_on_and_the_other_way_stays_open(
    relay: ktls_fast.Relay, kind: str
) -> None:
    with pumped(relay, kind) as pair:
        send_and_finish(pair.far_a, b"all of it")
        assert receive_all(pair.far_b) == b"all of it"
        pair.far_b.sendall(b"after the half-close")
        assert pair.far_a.recv(100) == b"after the half-close"
        assert not pair.handle.done
        finish(pair.far_b)
        assert pair.far_a.recv(100) == b""
        assert pair.end().bytes == (9, 20)


@pytest.mark.parametrize("kind", KINDS)
def test_end_of_the_other_peer_is_a_fin_and_its_answer_comes(
    relay: ktls_fast.Relay, kind: str
) -> None:
    with pumped(relay, kind) as pair:
        send_and_finish(pair.far_b, b"request")
        assert receive_all(pair.far_a) == b"request"
        pair.far_a.sendall(b"answer")
        pair.far_a.close()
        assert receive_all(pair.far_b) == b"answer"
        assert pair.end().error is None


def test_records_of_any_size_are_joined_in_order(relay: ktls_fast.Relay) -> None:
    """The size of the relay's buffer is not a multiple of theirs."""
    random_sizes = random.Random(1)
    sizes = [random_sizes.choice([0, 1, 100, 1400, 16000, 16383, 16384]) for _ in range(400)]
    data = octal(sum(sizes))
    with pumped(relay) as pair:
        sending = start(lambda: _send_in_records(pair.far_a, data, sizes))
        assert receive_exactly(pair.far_b, len(data)) == data
        sending.result(DEADLINE)
        pair.far_a.shutdown(socket.SHUT_WR)
        finish(pair.far_b)
        assert pair.end().records[0] == len(sizes)


def _send_in_records(end: ktls_fast.KtlsSocket, data: bytes, sizes: list[int]) -> None:
    sealer, at = far_sealer(), 0
    for size in sizes:
        send_raw(end, sealer.seal(data[at : at + size]))
        at += size


def test_records_are_counted_each_way(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        sealer = far_sealer()
        for data in (b"one", b"", b"two"):
            send_raw(pair.far_a, sealer.seal(data))
        assert receive_exactly(pair.far_b, 6) == b"onetwo"
        for data in (b"back", b"again"):
            pair.far_b.sendall(data)
            assert pair.far_a.recv(100) == data
        finish(pair.far_a)
        finish(pair.far_b)
        handle = pair.end()
    assert handle.records == (3, 2)
    assert handle.bytes == (6, 9)
    assert relay.stats()["bytes"] == 15


def test_reader_that_does_not_read_stops_its_pair_and_no_other(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as stuck, pumped(relay) as other:
        assert isinstance(stuck.far_b, socket.socket)
        sent = send_until_full(stuck.far_b)
        for _ in range(20):
            other.far_b.sendall(b"goes on")
            assert other.far_a.recv(100) == b"goes on"
        assert stuck.handle.bytes[1] <= sent
        stuck.far_b.shutdown(socket.SHUT_WR)
        assert len(receive_all(stuck.far_a)) == sent


def test_plain_reader_that_does_not_read_stops_the_ktls_sender(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        sent = send_until_full(pair.far_a)
        pair.far_a.shutdown(socket.SHUT_WR)
        assert len(receive_all(pair.far_b)) == sent


def test_last_bytes_arrive_at_a_slow_reader(relay: ktls_fast.Relay) -> None:
    """The bytes that did not fit into TCP's buffers are sent without a further event."""
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        narrow(near, far)
        relay.add(near, other)
        far_other.sendall(octal(60_000))
        assert receive_exactly(far, 60_000) == octal(60_000)


def test_a_flood_of_records_without_data_starves_no_other_pair() -> None:
    relay = ktls_fast.Relay()
    with pumped(relay, first=ENDLESS) as busy, pumped(relay) as other:
        flooding = start(lambda: _flood(busy.far_a))
        for _ in range(20):
            other.far_b.sendall(b"goes on")
            assert other.far_a.recv(100) == b"goes on"
        assert not busy.handle.done
        relay.close(drain=0)
        assert busy.end().bytes == (0, 0)
        with pytest.raises(OSError, match=r"(?i)pipe|reset"):
            flooding.result(DEADLINE)


def _flood(end: ktls_fast.KtlsSocket) -> None:
    sealer, nothing = far_sealer(CHACHA20_POLY1305), np.zeros(50_000, np.int64)
    for _ in range(10_000):
        send_raw(end, sealer.seal_batch(b"", offsets=nothing, lengths=nothing).wire)


def test_idle_relay_uses_no_processor(relay: ktls_fast.Relay) -> None:
    """Neither half a record nor a half-closed side may wake up the thread forever."""
    with pumped(relay, idle_timeout=600) as pair:
        pair.far_b.sendall(b"x")
        assert pair.far_a.recv(1) == b"x"
        finish(pair.far_b)
        assert pair.far_a.recv(1) == b""
        send_raw(pair.far_a, b"\x17\x03\x03\x00\x20" + bytes(10))
        before = cpu_of_relays()
        assert not threading.Event().wait(0.3)
        assert cpu_of_relays() - before <= 2


def test_an_earlier_open_record_is_sent_with_the_end(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        near.send(b"begun", MORE)
        relay.add(near, other)
        finish(far_other)
        assert receive_all(far) == b"begun"


def test_plaintext_opened_before_goes_first(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        far.sendall(b"0123456789")
        assert near.recv(4) == b"0123"
        relay.add(near, other)
        assert receive_exactly(far_other, 6) == b"456789"
