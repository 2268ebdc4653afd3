"""A relay with a KtlsSocket as a side: errors, stops and closed sockets."""

from __future__ import annotations

import errno
import gc
import socket
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import BadRecordError, Connection, Namespace
from tests.ktls_ends import LEFT_OPEN, fails
from tests.peers.support import DEADLINE, octal, socket_pair
from tests.relay_ktls import (
    KINDS,
    added,
    finish,
    keyed,
    link,
    pumped,
    receive_all,
    receive_exactly,
    send_and_finish,
    send_raw,
)
from tests.relay_pairs import reset

if TYPE_CHECKING:
    from tests.relay_ktls import End


@pytest.mark.parametrize("kind", KINDS)
def test_idle_pair_ends_with_a_reset_of_a_ktls_side(relay: ktls_fast.Relay, kind: str) -> None:
    with pumped(relay, kind, idle_timeout=0.05) as pair:
        assert isinstance(pair.end().error, TimeoutError)
        with fails(errno.ECONNRESET):
            pair.far_a.recv(1)
        _sees_an_abort(pair.far_b)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_record_aborts_the_other_side(relay: ktls_fast.Relay, kind: str) -> None:
    with pumped(relay, kind) as pair:
        pair.far_a.sendall(b"good")
        assert pair.far_b.recv(100) == b"good"
        send_raw(pair.far_a, b"\x17\x03\x03\x00\x20" + bytes(32))
        error = pair.end().error
        assert isinstance(error, BadRecordError)
        assert error.errno == errno.EBADMSG
        assert "alert" not in str(error), "a KtlsSocket sends none of its own"
        _sees_an_abort(pair.far_b)
    assert relay.stats()["failed"] == 1


def test_a_bad_header_is_an_error_without_a_busy_loop(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        send_raw(pair.far_a, b"GET / HTTP/1.1\r\n")
        error = pair.end().error
        assert error is not None
        assert error.errno == errno.EINVAL
        assert "0x4554" in str(error)


def test_reset_of_the_ktls_peer_is_a_reset_of_the_plain_side(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.far_a.sendall(b"half a response")
        assert pair.far_b.recv(100) == b"half a response"
        pair.far_a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, *bytes(7)]))
        pair.far_a.close()
        error = pair.end().error
        assert isinstance(error, ConnectionResetError)
        assert "plain" not in str(error)
        _sees_an_abort(pair.far_b)


def test_reset_of_the_plain_side_is_a_reset_of_the_ktls_peer(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        assert isinstance(pair.far_b, socket.socket)
        reset(pair.far_b)
        assert "the plain side" in str(pair.end().error)
        with fails(errno.ECONNRESET):
            pair.far_a.recv(100)


def test_answer_to_a_request_that_is_not_read_to_its_end_arrives(relay: ktls_fast.Relay) -> None:
    """The KtlsSocket's peer may answer and close while the other side is still sending."""
    answer = octal(50_000)
    with pumped(relay) as pair:
        pair.far_a.sendall(answer)
        assert receive_exactly(pair.far_b, len(answer)) == answer
        pair.far_a.shutdown(socket.SHUT_RDWR)
        assert pair.far_b.recv(100) == b""
        for _ in range(50):
            pair.far_b.sendall(bytes(10_000))
        finish(pair.far_b)
        error = pair.end().error
        assert isinstance(error, BrokenPipeError | ConnectionResetError)


def test_a_stop_sends_fin_after_the_data_in_flight(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.far_b.sendall(b"in flight")
        assert pair.far_a.recv(9) == b"in flight"
        pair.handle.stop()
        assert pair.far_a.recv(100) == b""
        send_and_finish(pair.far_a, b"last words")
        assert receive_all(pair.far_b) == b"last words"
        assert pair.end().error is None


def test_a_socket_closed_while_pumped_ends_its_pair(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.a.close()
        error = pair.end().error
        assert error is not None
        assert error.errno == errno.EBADF


def test_a_socket_without_references_is_pumped_and_closed_at_the_end(
    relay: ktls_fast.Relay,
) -> None:
    namespace = Namespace()
    near, far = keyed(*socket_pair(), namespace=namespace)
    other, far_other = link("plain")
    with far, other, far_other:
        _, ended = added(relay, near, other)
        LEFT_OPEN.remove(near)
        del near
        gc.collect()
        far.sendall(b"through")
        assert far_other.recv(100) == b"through"
        assert namespace.tls_stat()["TlsCurrRxSw"] == 1
        finish(far_other)
        assert far.recv(100) == b""
        far.shutdown(socket.SHUT_WR)
        assert ended.result(DEADLINE).error is None
        assert namespace.tls_stat()["TlsCurrRxSw"] == 0


def _sees_an_abort(far: End) -> None:
    """Check that the far end sees a reset or an alert, so that it knows that data is missing."""
    if isinstance(far, Connection):
        with pytest.raises(ktls_fast.AlertReceivedError, match="internal_error"):
            far.recv(100)
    else:
        with fails(errno.ECONNRESET):
            far.recv(100)
