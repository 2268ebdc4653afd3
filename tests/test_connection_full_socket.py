"""Writes, alerts and KeyUpdates of a connection whose socket is full."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from tests.peers.ours import await_readable, paired
from tests.peers.raw import ALERT, CLOSE_NOTIFY, NOT_REQUESTED, REQUESTED
from tests.peers.support import DEADLINE, octal, start

if TYPE_CHECKING:
    from ktls_fast import Connection


def test_a_full_socket_loses_no_accepted_bytes() -> None:
    data = octal(3_000_000)
    with paired() as (conn, peer):
        _small_buffers(conn)
        conn.setblocking(False)
        taken = _write_until_full(conn, data)
        assert 0 < taken < len(data)
        received = start(lambda: peer.receive_data(len(data)))
        _write_all(conn, memoryview(data)[taken:])
        _flush(conn)
        assert received.result(DEADLINE) == data


def test_blocking_close_notify_waits_until_it_is_sent() -> None:
    with paired() as (conn, peer):
        taken = _fill(conn)
        closing = start(conn.close_notify)
        assert peer.receive_data(taken) == bytes(taken)
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        closing.result(DEADLINE)


def test_blocking_key_update_waits_until_it_is_sent() -> None:
    with paired() as (conn, peer):
        taken = _fill(conn)
        updating = start(conn.key_update)
        assert peer.receive_data(taken) == bytes(taken)
        assert peer.receive_key_update() == NOT_REQUESTED
        updating.result(DEADLINE)


def test_key_updates_on_a_full_socket_keep_their_place() -> None:
    data = octal(2_000_000)
    with paired(rekey_bytes=50_000, rekey_interval=0) as (conn, peer):
        _small_buffers(conn)
        conn.setblocking(False)
        taken = _write_until_full(conn, data)
        received = start(lambda: peer.receive_data(len(data)))
        _write_all(conn, memoryview(data)[taken:])
        _flush(conn)
        assert received.result(DEADLINE) == data
        assert len(peer.key_updates) >= 20


def test_an_answer_to_a_full_socket_is_sent_later() -> None:
    data = octal(2_000_000)
    with paired() as (conn, peer):
        _small_buffers(conn)
        conn.setblocking(False)
        taken = _write_until_full(conn, data)
        peer.send_key_update(REQUESTED)
        peer.send(b"question")
        await_readable(conn)
        assert conn.read() == b"question"
        received = start(lambda: peer.receive_data(len(data)))
        _write_all(conn, memoryview(data)[taken:])
        _flush(conn)
        assert received.result(DEADLINE) == data
        assert peer.key_updates == [NOT_REQUESTED]


def test_close_does_not_wait_for_a_full_socket_and_loses_nothing() -> None:
    data = octal(1_000_000)
    with paired() as (conn, peer):
        _small_buffers(conn)
        # So small that close cannot send the buffered bytes before the peer reads.
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        conn.setblocking(False)
        taken = _write_until_full(conn, data)
        assert conn.unsent > 0
        conn.close()
        assert peer.drain() == (data[:taken], [(1, 0)])


def test_a_non_blocking_write_buffers_little() -> None:
    with paired() as (conn, _):
        _small_buffers(conn)
        conn.setblocking(False)
        _write_until_full(conn, bytes(20_000_000))
        assert 0 < conn.unsent < 70_000


def test_an_owed_answer_is_sent_while_the_application_only_reads() -> None:
    """RFC 8446 §4.6.3: it found no room at first."""
    with paired() as (conn, peer):
        _small_buffers(conn)
        conn.setblocking(False)
        taken = _write_until_full(conn, octal(1_000_000))
        with pytest.raises(BlockingIOError):
            _update_until_full(conn)
        ours = conn.tx_generation
        peer.send_key_update(REQUESTED)
        peer.send(b"question")
        await_readable(conn)
        assert conn.read() == b"question"
        conn.settimeout(DEADLINE)
        reading = start(conn.read)
        assert len(peer.receive_data(taken)) == taken
        while len(peer.key_updates) < ours + 1:
            peer.receive_key_update()
        peer.send(b"done")
        assert reading.result(DEADLINE) == b"done"


def _small_buffers(conn: Connection) -> None:
    with socket.socket(fileno=socket.dup(conn.fileno())) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)


def _write_until_full(conn: Connection, data: bytes) -> int:
    """Write until the socket is full; return the number of bytes accepted."""
    taken = 0
    try:
        while taken < len(data):
            taken += conn.write(data[taken : taken + 100_000])
    except BlockingIOError:
        pass
    return taken


def _fill(conn: Connection) -> int:
    """Write more than the socket has room for, and return the number of accepted bytes."""
    _small_buffers(conn)
    conn.setblocking(False)
    taken = _write_until_full(conn, bytes(20_000_000))
    conn.settimeout(DEADLINE)
    return taken


def _update_until_full(conn: Connection) -> None:
    for _ in range(10_000):
        conn.key_update()


def _write_all(conn: Connection, data: memoryview) -> None:
    """Write the rest as an event loop would."""
    while data:
        try:
            data = data[conn.write(data[:100_000]) :]
        except BlockingIOError:
            _, writable, _ = select.select([], [conn], [], DEADLINE)
            assert writable, f"{len(data)} bytes are not sent"


def _flush(conn: Connection) -> None:
    """Send what was taken when the socket was full."""
    conn.settimeout(DEADLINE)
    conn.sendall(b"")
