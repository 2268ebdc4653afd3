"""Timeouts and non-blocking calls of a connection, and threads that share one."""

from __future__ import annotations

import select
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.peers.ours import await_readable, paired, read_exactly
from tests.peers.raw import DATA, NOT_REQUESTED, REQUESTED
from tests.peers.support import DEADLINE, octal, start

if TYPE_CHECKING:
    from concurrent.futures import Future


SOON = 0.05
"""Seconds of a timeout that is meant to pass."""


def test_read_times_out_and_loses_nothing() -> None:
    with paired() as (conn, peer):
        conn.settimeout(SOON)
        record = peer.tx.seal(b"in two parts")
        peer.sock.sendall(record[:10])
        with pytest.raises(TimeoutError):
            conn.read()
        peer.sock.sendall(record[10:])
        assert conn.read() == b"in two parts"


def test_key_update_in_two_parts_around_a_timeout() -> None:
    with paired() as (conn, peer):
        conn.settimeout(SOON)
        record = peer.sealed_key_update(REQUESTED)
        peer.sock.sendall(record[:7])
        with pytest.raises(TimeoutError):
            conn.read()
        peer.sock.sendall(record[7:] + peer.tx.seal(b"data"))
        assert conn.read() == b"data"
        assert peer.receive_key_update() == NOT_REQUESTED


def test_write_times_out_when_the_peer_does_not_read() -> None:
    with paired() as (conn, _):
        conn.settimeout(SOON)
        with pytest.raises(TimeoutError):
            conn.sendall(bytes(20_000_000))


def test_read_without_data_is_refused_when_non_blocking() -> None:
    with paired() as (conn, peer):
        conn.setblocking(False)
        assert not conn.getblocking()
        with pytest.raises(BlockingIOError):
            conn.read()
        peer.send_key_update(NOT_REQUESTED)
        await_readable(conn)
        with pytest.raises(BlockingIOError):
            conn.read()
        assert conn.rx_generation == 1
        peer.send(b"data")
        await_readable(conn)
        assert conn.read() == b"data"


def test_an_empty_write_sends_nothing() -> None:
    with paired() as (conn, peer):
        assert conn.write(b"") == 0
        conn.sendall(b"")
        conn.sendall(b"x")
        assert peer.receive() == (DATA, b"x")
        assert conn.records_sent == 1


def test_an_empty_read_does_not_wait() -> None:
    with paired() as (conn, _):
        assert conn.read(0) == b""


def test_record_is_read_in_pieces() -> None:
    with paired() as (conn, peer):
        peer.send(octal(1000))
        await_readable(conn)
        assert conn.read(1) == octal(1000)[:1]
        assert conn.pending() == 999
        target = bytearray(600)
        assert conn.recv_into(target) == 600
        assert conn.recv_into(target, 100) == 100
        assert target[:100] == octal(1000)[601:701]
        assert conn.recv(10_000) == octal(1000)[701:]
        assert conn.pending() == 0


def test_sealed_bytes_that_were_read_ahead_count_as_pending() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"one") + peer.tx.seal(b"two"))
        await_readable(conn)
        first = conn.read(3)
        waiting = conn.pending() > 0 or select.select([conn], [], [], 0)[0]
        assert first == b"one"
        assert waiting
        assert conn.read(3) == b"two"


@pytest.mark.parametrize("flags", [socket.MSG_PEEK, 1 << 20])
def test_flags_are_refused(flags: int) -> None:
    with paired() as (conn, _):
        for call in (lambda: conn.recv(1, flags), lambda: conn.send(b"x", flags)):
            with pytest.raises((OSError, ValueError)):
                call()


def test_close_wakes_a_reader() -> None:
    with paired() as (conn, peer):
        reading = start(conn.read)
        # The answer shows that the reader runs, since only the reader can have sent it.
        peer.send_key_update(REQUESTED)
        assert peer.receive_key_update() == NOT_REQUESTED
        conn.close()
        assert reading.exception(DEADLINE) is not None or reading.result() == b""


def test_close_wakes_a_writer() -> None:
    with paired() as (conn, peer):
        sending = start(lambda: conn.sendall(bytes(50_000_000)))
        assert len(peer.receive_data(100_000)) >= 100_000
        closing = start(conn.close)
        assert isinstance(sending.exception(DEADLINE), OSError)
        peer.sock.close()
        closing.result(DEADLINE)


def test_a_reader_does_not_block_a_writer() -> None:
    with paired() as (conn, peer):
        reading = start(conn.read)
        for turn in range(20):
            conn.sendall(octal(100, turn))
            assert peer.receive_data(100) == octal(100, turn)
        peer.send(b"data")
        assert reading.result(DEADLINE) == b"data"


def test_a_writer_does_not_block_a_reader() -> None:
    with paired() as (conn, peer):
        data = octal(8_000_000)
        sending = start(lambda: conn.sendall(data))
        for turn in range(20):
            peer.send(octal(100, turn))
            assert read_exactly(conn, 100) == octal(100, turn)
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)


def test_bytes_that_were_read_before_come_first() -> None:
    with paired() as (_, peer):
        early = peer.tx.seal(b"early")
    with paired(received=early[:9]) as (conn, peer):
        assert peer.tx.seal(b"early") == early
        peer.sock.sendall(early[9:] + peer.tx.seal(b"late"))
        assert read_exactly(conn, 9) == b"earlylate"


def test_signal_handler_runs_while_a_read_waits() -> None:
    with paired() as (conn, peer):
        before = signal.signal(signal.SIGALRM, lambda _number, _frame: peer.send(b"by signal"))
        try:
            signal.setitimer(signal.ITIMER_REAL, SOON)
            assert conn.read() == b"by signal"
        finally:
            signal.signal(signal.SIGALRM, before)


def test_two_readers_share_the_data() -> None:
    with paired() as (conn, peer):
        readers = [start(lambda: read_exactly(conn, 50_000)) for _ in range(2)]
        for _ in range(100):
            peer.send(bytes(1000))
        assert [reader.result(DEADLINE) for reader in readers] == [bytes(50_000)] * 2


def test_counters_count_records() -> None:
    with paired() as (conn, peer):
        conn.sendall(bytes(16_385))
        peer.send(b"one")
        peer.send(b"two")
        assert read_exactly(conn, 6) == b"onetwo"
        assert (conn.records_sent, conn.records_received) == (2, 2)


def test_signal_handler_runs_in_the_middle_of_a_write() -> None:
    data = octal(6_000_000)
    with paired() as (conn, peer):
        received: list[Future[bytes]] = []
        before = signal.signal(
            signal.SIGALRM,
            lambda _number, _frame: received.append(start(lambda: peer.receive_data(len(data)))),
        )
        try:
            signal.setitimer(signal.ITIMER_REAL, SOON)
            assert conn.write(data) == len(data)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert received[0].result(DEADLINE) == data


def test_large_write_makes_full_records() -> None:
    with paired() as (conn, peer):
        received = start(lambda: peer.receive_data(64 * 16384))
        conn.sendall(bytes(64 * 16384))
        received.result(DEADLINE)
        assert conn.records_sent == 64
