"""A relay between a connection and a plain socket: its ends, and how each side learns of them."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ktls_fast import KtlsSocket, TruncatedError
from tests.peers.ours import paired
from tests.peers.raw import ALERT, CLOSE_NOTIFY, DATA
from tests.peers.support import DEADLINE, octal, socket_pair, start
from tests.relay_pairs import ENDLESS, flood

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from tests.peers.raw import RawPeer

FATAL_INTERNAL_ERROR = (2, 80)


class Relayed(NamedTuple):
    """Both far ends of a relay that runs in a thread."""

    peer: RawPeer
    plain: socket.socket
    done: Future[tuple[int, int]]
    stop: int
    """Write here to stop it."""


@contextmanager
def relayed(idle_timeout: float | None = None, suite: int = 0x1301) -> Iterator[Relayed]:
    """Relay a connection without data in transit during the block."""
    near, far = socket_pair()
    stop_fd, stop = os.pipe()
    try:
        with near, far, paired(suite=suite) as (conn, peer):
            conn.settimeout(None)

            def relay() -> tuple[int, int]:
                try:
                    return conn.relay(near, idle_timeout=idle_timeout, stop_fd=stop_fd)
                finally:
                    near.close()
                    conn.close()

            yield Relayed(peer, far, start(relay), stop)
    finally:
        os.close(stop_fd)
        os.close(stop)


def reset(sock: socket.socket) -> None:
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_both_directions_carry_their_bytes_and_their_ends() -> None:
    data = octal(300_000)
    with relayed() as (peer, plain, done, _):
        sending = start(lambda: _send_and_end(plain, data))
        assert peer.receive_data(len(data)) == data
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        sending.result(DEADLINE)
        peer.send(b"after the half-close")
        peer.close_notify()
        assert plain.recv(100) == b"after the half-close"
        assert plain.recv(100) == b""
        assert done.result(DEADLINE) == (20, len(data))


def test_a_reset_of_the_plain_side_sends_no_close_notify() -> None:
    """Half a response must not look like a complete one."""
    with relayed() as (peer, plain, done, _):
        plain.sendall(b"half a response")
        assert peer.receive() == (DATA, b"half a response")
        reset(plain)
        assert peer.receive_alert() == FATAL_INTERNAL_ERROR
        with pytest.raises(ConnectionResetError, match="the plain side") as caught:
            done.result(DEADLINE)
        assert caught.value.errno == errno.ECONNRESET


def test_truncation_by_the_peer_is_a_reset_of_the_plain_side() -> None:
    """Half a request must not look like a complete one."""
    with relayed() as (peer, plain, done, _):
        peer.send(b"half a request")
        assert plain.recv(100) == b"half a request"
        peer.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            plain.recv(100)
        with pytest.raises(TruncatedError):
            done.result(DEADLINE)


def test_idle_relay_ends_with_an_alert() -> None:
    with relayed(idle_timeout=0.05) as (peer, plain, done, _):
        with pytest.raises(TimeoutError):
            done.result(DEADLINE)
        assert peer.receive_alert() == FATAL_INTERNAL_ERROR
        with pytest.raises(ConnectionResetError):
            plain.recv(1)


def test_a_stop_is_noticed_in_a_flood_of_records_without_data() -> None:
    with relayed(suite=ENDLESS) as (peer, _, done, stop):
        flooding = start(lambda: flood(peer.sock))
        os.write(stop, b"x")
        assert done.result(DEADLINE) == (0, 0)
        with pytest.raises(OSError, match=r"(?i)pipe|reset"):
            flooding.result(DEADLINE)


def test_response_to_a_request_that_is_not_read_to_its_end_arrives() -> None:
    """An upstream may answer and close while the peer is still sending."""
    answer = octal(50_000)
    with relayed() as (peer, plain, done, _):
        plain.sendall(answer)
        assert peer.receive_data(len(answer)) == answer
        plain.shutdown(socket.SHUT_RDWR)
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        for _ in range(50):
            peer.send(bytes(10_000))
        peer.close_notify()
        with pytest.raises(OSError, match="the plain side"):
            done.result(DEADLINE)


def test_closed_plain_socket_is_refused() -> None:
    closed = socket.socket()
    closed.close()
    with paired() as (conn, _), pytest.raises(OSError, match="descriptor") as caught:
        conn.relay(closed)
    assert caught.value.errno == errno.EBADF


def test_sockets_that_do_not_carry_plain_bytes_are_refused() -> None:
    near, far = socket.socketpair()
    with near, far, paired() as (conn, _):
        layered = KtlsSocket(near)
        with layered, pytest.raises(TypeError, match="is not a plain socket"):
            conn.relay(layered)  # type: ignore[arg-type]


def _send_and_end(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
