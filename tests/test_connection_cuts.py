"""TCP may split a stream of records anywhere, which must not change what is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast import Connection, PeerError, TruncatedError
from tests.peers.ours import paired, peer_half, read_all
from tests.peers.raw import (
    ALERT,
    CLOSE_NOTIFY,
    HANDSHAKE,
    NOT_REQUESTED,
    REQUESTED,
    RecordDirection,
    key_update,
    ticket,
)
from tests.peers.support import SUITES, octal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.peers.raw import RawPeer


@dataclass(frozen=True, slots=True)
class Stream:
    """The records that a peer sends, and the expected results of reading them."""

    wire: bytes
    data: bytes
    generation: int
    requests: int


def everything(tx: RecordDirection) -> Stream:
    """One of each: data, padding, tickets, KeyUpdates whole, in fragments, after a ticket."""
    wire = tx.seal(b"one") + tx.seal(b"", padding=3) + tx.seal(b"two", padding=5)
    wire += tx.seal(key_update(NOT_REQUESTED), HANDSHAKE)
    tx.rekey()
    wire += tx.seal(b"three") + tx.seal(ticket(), HANDSHAKE)
    message = ticket() + key_update(REQUESTED)
    wire += tx.seal(message[:7], HANDSHAKE) + tx.seal(message[7:-1], HANDSHAKE)
    wire += tx.seal(message[-1:], HANDSHAKE)
    tx.rekey()
    wire += tx.seal(b"four") + tx.seal(CLOSE_NOTIFY, ALERT)
    return Stream(wire, b"onetwothreefour", generation=2, requests=1)


WHOLE = everything(peer_half())


def deliver(conn: Connection, peer: RawPeer, pieces: Sequence[bytes]) -> bytes:
    """Send each piece alone, and read after each what can be read."""
    received = bytearray()
    conn.setblocking(False)
    for piece in pieces:
        peer.sock.sendall(piece)
        received += b"".join(available(conn))
    conn.settimeout(5)
    return bytes(received) + read_all(conn)


def available(conn: Connection) -> Iterator[bytes]:
    """Read as much as possible without waiting."""
    try:
        while data := conn.read():
            yield data
    except BlockingIOError:
        return


def check(pieces: Sequence[bytes], stream: Stream, suite: int = 0x1301) -> None:
    """Check that the pieces contain the stream's data, and that its requests are answered."""
    with paired(server_side=False, suite=suite) as (conn, peer):
        assert deliver(conn, peer, pieces) == stream.data
        assert conn.rx_generation == stream.generation
        conn.close_notify()
        peer.drain_until_alert()
        assert len(peer.key_updates) == stream.requests


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_a_stream_in_one_piece_arrives(suite: int) -> None:
    stream = everything(peer_half(suite))
    check([stream.wire], stream, suite)


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_a_stream_arrives_byte_by_byte(suite: int) -> None:
    stream = everything(peer_half(suite))
    check([bytes([byte]) for byte in stream.wire], stream, suite)


def test_a_stream_split_at_each_offset_arrives() -> None:
    for cut in range(1, len(WHOLE.wire)):
        check([WHOLE.wire[:cut], WHOLE.wire[cut:]], WHOLE)


def test_a_stream_that_began_before_the_connection_object_arrives() -> None:
    for cut in range(len(WHOLE.wire) + 1):
        with paired(server_side=False, received=WHOLE.wire[:cut]) as (conn, peer):
            conn.settimeout(5)
            peer.sock.sendall(WHOLE.wire[cut:])
            assert read_all(conn) == WHOLE.data


def test_many_bytes_may_be_read_before_the_connection_object_is_made() -> None:
    tx = peer_half()
    wire = b"".join(tx.seal(octal(16_384, seed)) for seed in range(20))
    wire += tx.seal(CLOSE_NOTIFY, ALERT)
    with paired(received=wire[:-3]) as (conn, peer):
        conn.settimeout(5)
        peer.sock.sendall(wire[-3:])
        assert read_all(conn) == b"".join(octal(16_384, seed) for seed in range(20))


def test_stream_that_ends_at_each_offset_is_truncated() -> None:
    for end in range(len(WHOLE.wire)):
        with paired(server_side=False) as (conn, peer):
            conn.settimeout(5)
            peer.sock.sendall(WHOLE.wire[:end])
            peer.sock.shutdown(1)
            received = bytearray()
            with pytest.raises(TruncatedError):
                collect(conn, received)
            assert WHOLE.data.startswith(received)


def test_each_changed_byte_is_refused() -> None:
    """No byte of a record may change, except the version, which RFC 8446 §5.1 says to ignore."""
    record = peer_half().seal(b"data")
    for at in (0, *range(3, len(record))):
        changed = bytearray(record)
        changed[at] ^= 0x01
        with paired() as (conn, peer):
            conn.settimeout(5)
            peer.sock.sendall(changed)
            peer.sock.shutdown(1)
            with pytest.raises((PeerError, TruncatedError)):
                conn.read()


sizes = st.one_of(st.integers(0, 40), st.sampled_from([255, 16_383, 16_384]))
steps = st.one_of(
    st.tuples(st.just("data"), sizes, st.integers(0, 20)),
    st.tuples(st.just("ticket"), st.integers(0, 60), st.just(0)),
    st.tuples(st.just("key update"), st.sampled_from([NOT_REQUESTED, REQUESTED]), st.just(0)),
    st.tuples(st.just("fragments"), st.integers(1, 4), st.just(0)),
    st.tuples(st.just("our data"), st.integers(0, 3000), st.just(0)),
    st.tuples(st.just("our key update"), st.integers(0, 1), st.just(0)),
)
cuts = st.lists(st.one_of(st.integers(1, 30), st.integers(1, 20_000)), max_size=12)


@given(script=st.lists(steps, max_size=20), cut_sizes=cuts, suite=st.sampled_from(list(SUITES)))
def test_any_sequence_split_anywhere_arrives_as_sent(
    script: list[tuple[str, int, int]], cut_sizes: list[int], suite: int
) -> None:
    with paired(server_side=False, suite=suite) as (conn, peer):
        both = _Script(conn, peer, cut_sizes)
        for step, size, padding in script:
            both.play(step, size, padding)
        both.finish()


class _Script:
    """Plays steps of both sides, and knows what each must have received at the end."""

    def __init__(self, conn: Connection, peer: RawPeer, cut_sizes: list[int]) -> None:
        self._conn = conn
        self._peer = peer
        self._cut_sizes = cut_sizes
        self._wire = b""
        self._received = bytearray()
        self._to_us = bytearray()
        self._to_peer = bytearray()
        conn.setblocking(False)

    def play(self, step: str, size: int, padding: int) -> None:
        if step.startswith("our"):
            self._deliver()
            self._act(step, size)
        else:
            self._wire += self._seal(step, size, padding)

    def finish(self) -> None:
        self._wire += self._peer.tx.seal(CLOSE_NOTIFY, ALERT)
        self._deliver()
        self._conn.settimeout(5)
        self._received += read_all(self._conn)
        assert self._received == self._to_us
        self._conn.close_notify()
        assert self._peer.drain_until_alert() == self._to_peer
        assert self._conn.rx_generation == self._peer.tx.generation
        assert self._conn.tx_generation == self._peer.rx.generation

    def _act(self, step: str, size: int) -> None:
        if step == "our data":
            data = octal(size, seed=size)
            self._conn.sendall(data)
            self._to_peer += data
        else:
            self._conn.key_update(request_peer=bool(size))

    def _seal(self, step: str, size: int, padding: int) -> bytes:
        tx = self._peer.tx
        if step == "data":
            data = octal(size, seed=size)
            self._to_us += data
            return tx.seal(data, padding=min(padding, 16_384 - size))
        if step == "ticket":
            return tx.seal(ticket(size), HANDSHAKE)
        if step == "key update":
            return self._peer.sealed_key_update(size)
        message = ticket() + key_update(REQUESTED)
        wire = tx.seal(message[:-size], HANDSHAKE) + tx.seal(message[-size:], HANDSHAKE)
        tx.rekey()
        return wire

    def _deliver(self) -> None:
        """Send what has gathered in pieces of the next sizes, the rest at once."""
        while self._wire:
            size = self._cut_sizes.pop() if self._cut_sizes else 1 << 16
            self._peer.sock.sendall(self._wire[:size])
            self._wire = self._wire[size:]
            self._received += b"".join(available(self._conn))


def collect(conn: Connection, received: bytearray) -> None:
    """Read until an end or an error, and keep what came before it."""
    while data := conn.read():
        received += data
