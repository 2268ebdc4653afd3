"""Data that a non-blocking call leaves unsent is sent, whatever calls follow."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.peers.ours import paired
from tests.peers.raw import ALERT, REQUESTED
from tests.peers.support import DEADLINE, octal, start

if TYPE_CHECKING:
    from ktls_fast import Connection

USER_CANCELED = b"\x01\x5a"
"""A record without application data."""
SIZES = [1000, 3_925_000, 6_000_000, 8_000_000]


def leave_unsent(conn: Connection) -> int:
    """Write until something waits inside; how much was taken."""
    conn.setblocking(False)
    with socket.socket(fileno=socket.dup(conn.fileno())) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    taken = 0
    for _ in range(10_000):
        if conn.unsent:
            return taken
        taken += conn.write(bytes(50_000))
    return pytest.fail("TCP takes it all")


@pytest.mark.parametrize("size", SIZES)
def test_sock_sendall_and_sock_recv_do_not_hang(size: int) -> None:
    with paired() as (conn, peer):
        conn.setblocking(False)

        async def ask() -> bytes:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(conn, octal(size))  # type: ignore[arg-type]
            return await loop.sock_recv(conn, 100)  # type: ignore[arg-type]

        asking = start(lambda: asyncio.run(asyncio.wait_for(ask(), DEADLINE)))
        assert peer.receive_data(size) == octal(size)
        peer.send(b"answer")
        assert asking.result(DEADLINE) == b"answer"


def test_an_event_loop_written_in_c_gets_a_blocking_io_error() -> None:
    """Such code compares the class of an exception before Python has created the instance."""
    with paired() as (conn, peer):
        conn.setblocking(False)
        peer.send(USER_CANCELED, ALERT)

        async def ask() -> bytes:
            loop = asyncio.get_running_loop()
            asked = asyncio.create_task(loop.sock_recv(conn, 100))  # type: ignore[arg-type]
            await loop.sock_sendall(conn, octal(8_000_000))  # type: ignore[arg-type]
            return await asked

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            asking = start(lambda: runner.run(asyncio.wait_for(ask(), DEADLINE)))
            assert peer.receive_data(8_000_000) == octal(8_000_000)
            peer.send(b"answer")
            assert asking.result(DEADLINE) == b"answer"


def test_data_is_sent_without_another_call() -> None:
    with paired() as (conn, peer):
        taken = leave_unsent(conn)
        assert len(peer.receive_data(taken)) == taken
        assert conn.unsent == 0


def test_a_queued_close_notify_is_sent_without_another_call() -> None:
    with paired() as (conn, peer):
        taken = leave_unsent(conn)
        conn.close_notify()
        data, alerts = peer.receive_data(taken), []
        alerts.append(peer.receive_alert())
        assert (len(data), alerts) == (taken, [(1, 0)])


def test_a_queued_key_update_is_sent_without_another_call() -> None:
    with paired() as (conn, peer):
        taken = leave_unsent(conn)
        conn.key_update()
        assert len(peer.receive_data(taken)) == taken
        assert peer.receive_key_update() == 0


def test_an_owed_answer_is_sent_without_another_call() -> None:
    with paired() as (conn, peer):
        taken = leave_unsent(conn)
        peer.send_key_update(REQUESTED)
        peer.send(b"x")
        assert select.select([conn], [], [], DEADLINE)[0]
        assert conn.read() == b"x"
        assert len(peer.receive_data(taken)) == taken
        assert peer.receive_key_update() == 0


def test_an_alert_is_sent_and_then_fin() -> None:
    with paired() as (conn, peer):
        taken = leave_unsent(conn)
        peer.sock.sendall(peer.tx.seal(b"x")[:-1] + b"?")
        assert select.select([conn], [], [], DEADLINE)[0]
        with pytest.raises(OSError, match=r"bad_record_mac"):
            conn.read()
        assert len(peer.receive_data(taken)) == taken
        assert peer.receive_alert() == (2, 20)
        assert peer.sock.recv(1) == b""


def test_accepted_bytes_are_sent_after_a_timeout() -> None:
    with paired() as (conn, peer):
        conn.settimeout(0.05)
        taken = conn.write(bytes(20_000_000))
        assert taken < 20_000_000
        assert len(peer.receive_data(taken)) == taken


def test_calls_and_the_background_thread_keep_the_order() -> None:
    with paired() as (conn, peer):
        conn.setblocking(False)
        data = octal(6_000_000)
        received = start(lambda: peer.receive_data(len(data)))
        taken = 0
        while taken < len(data):
            try:
                taken += conn.write(data[taken : taken + 30_000])
            except BlockingIOError:
                assert select.select([], [conn], [], DEADLINE)[1]
        assert received.result(DEADLINE) == data
