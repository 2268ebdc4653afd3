"""Ends of a connection: in order, in half, cut off, or by the peer's alert."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest

from ktls_fast import AlertReceivedError, Connection, KtlsError, TruncatedError
from tests.peers.ours import paired
from tests.peers.raw import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, key_update
from tests.peers.support import DEADLINE, start

FATAL = {
    "unexpected_message": 10,
    "bad_record_mac": 20,
    "record_overflow": 22,
    "handshake_failure": 40,
    "illegal_parameter": 47,
    "decode_error": 50,
    "decrypt_error": 51,
    "internal_error": 80,
    "certificate_required": 116,
}


def test_close_notify_ends_the_data() -> None:
    with paired() as (conn, peer):
        peer.send(b"last words")
        peer.close_notify()
        assert conn.read() == b"last words"
        assert conn.read() == b""
        assert conn.read() == b""


def test_a_half_closed_connection_can_still_be_written() -> None:
    with paired() as (conn, peer):
        peer.close_notify()
        assert conn.read() == b""
        conn.sendall(b"more")
        conn.key_update()
        conn.sendall(b"and more")
        assert peer.receive_data(12) == b"moreand more"
        conn.close_notify()
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)


def test_what_follows_close_notify_is_ignored() -> None:
    with paired() as (conn, peer):
        peer.close_notify()
        peer.send(b"too late")
        peer.sock.sendall(b"no record at all")
        assert conn.read() == b""
        assert conn.read() == b""
        conn.sendall(b"data")
        assert peer.receive() == (DATA, b"data")


def test_fin_after_close_notify_is_not_a_truncation() -> None:
    with paired() as (conn, peer):
        peer.close_notify()
        peer.sock.shutdown(socket.SHUT_WR)
        assert conn.read() == b""


def test_our_close_notify_leaves_reading_open() -> None:
    with paired() as (conn, peer):
        conn.close_notify()
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        peer.send(b"still talking")
        assert conn.read() == b"still talking"
        with pytest.raises(OSError, match="close_notify") as caught:
            conn.write(b"no more")
        assert caught.value.errno == errno.EPIPE


def test_close_notify_is_sent_once() -> None:
    with paired() as (conn, peer):
        conn.close_notify()
        conn.close_notify()
        conn.close()
        conn.close()
        assert peer.drain() == (b"", [(1, 0)])


def test_closed_connection_refuses_everything() -> None:
    with paired() as (conn, _):
        conn.close()
        with pytest.raises(OSError, match=r"(?i)closed|descriptor"):
            conn.read()
        with pytest.raises(OSError, match=r"(?i)closed|descriptor"):
            conn.write(b"data")
        assert conn.fileno() == -1


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 6, 20])
def test_fin_without_close_notify_is_truncation(cut: int) -> None:
    with paired() as (conn, peer):
        peer.send(b"data")
        peer.sock.sendall(peer.tx.seal(b"cut off")[:cut])
        peer.sock.shutdown(socket.SHUT_WR)
        assert conn.read() == b"data"
        for _ in range(2):
            with pytest.raises(TruncatedError) as caught:
                conn.read()
            assert caught.value.errno == errno.ECONNRESET


def test_fin_inside_a_handshake_message_is_truncation() -> None:
    with paired() as (conn, peer):
        peer.send(key_update(0)[:3], HANDSHAKE)
        peer.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(TruncatedError):
            conn.read()


def test_a_reset_is_raised_with_its_errno() -> None:
    with paired() as (conn, peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sock.close()
        with pytest.raises(OSError, match=r"(?i)reset") as caught:
            conn.read()
        assert caught.value.errno == errno.ECONNRESET


def test_a_write_to_a_peer_that_is_gone_raises_its_errno() -> None:
    with paired() as (conn, peer):
        peer.sock.close()
        with pytest.raises(OSError, match=r"(?i)reset|pipe") as caught:
            _write_until_refused(conn)
        assert caught.value.errno in (errno.ECONNRESET, errno.EPIPE)


def test_data_can_still_be_read_after_writing_has_failed() -> None:
    with paired() as (conn, peer):
        peer.send(b"good-bye")
        peer.close_notify()
        peer.sock.close()
        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            _write_until_refused(conn)
        assert conn.read() == b"good-bye"
        assert conn.read() == b""


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", FATAL)
def test_an_alert_of_the_peer_is_named(name: str, level: int) -> None:
    with paired() as (conn, peer):
        peer.send(bytes([level, FATAL[name]]), ALERT)
        for _ in range(2):
            with pytest.raises(AlertReceivedError, match=name) as caught:
                conn.read()
            assert caught.value.errno == errno.ECONNABORTED


def test_unknown_alert_is_an_error_with_its_number() -> None:
    with paired() as (conn, peer):
        peer.send(b"\x01\xc8", ALERT)
        with pytest.raises(AlertReceivedError, match="200"):
            conn.read()


def test_an_alert_is_not_answered_by_an_alert() -> None:
    with paired() as (conn, peer):
        peer.send(b"\x02\x28", ALERT)
        with pytest.raises(AlertReceivedError):
            conn.read()
        closing = start(conn.close)
        with peer.sock:
            assert peer.drain()[1] in ([], [(1, 0)])
        closing.result(DEADLINE)


def test_user_canceled_is_ignored() -> None:
    with paired() as (conn, peer):
        peer.send(b"\x01\x5a", ALERT)
        peer.send(b"data")
        peer.close_notify()
        assert conn.read() == b"data"
        assert conn.read() == b""


def test_fatal_alert_ends_writing_too() -> None:
    with paired() as (conn, peer):
        peer.send(b"\x02\x50", ALERT)
        with pytest.raises(AlertReceivedError):
            conn.read()
        with pytest.raises(KtlsError):
            conn.write(b"data")


def test_the_context_manager_sends_close_notify() -> None:
    with paired() as (conn, peer):
        with conn:
            conn.sendall(b"data")
        assert peer.drain() == (b"data", [(1, 0)])


def test_no_descriptor_is_left_open() -> None:
    before = _open_descriptors()
    for _ in range(10):
        with paired() as (conn, peer):
            peer.send(b"\x02\x28", ALERT)
            with pytest.raises(AlertReceivedError):
                conn.read()
        with paired():
            pass
    assert _open_descriptors() == before


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _write_until_refused(conn: Connection) -> None:
    """Write until it fails: the first writes to a closed peer succeed, before TCP is reset."""
    for _ in range(1000):
        conn.sendall(bytes(100_000))
