"""Fixture "tls": the results of receives and peeks."""

import socket

import pytest

from tests.ktls_ends import DONTWAIT, MORE, PEEK, TLS_RX, TLS_TX, install
from tests.reference import MAX_PLAINTEXT, pattern
from tests.selftest.ends import WAITALL, TlsEnds

TEXT = b"test_read\0"
FIRST, SECOND = b"test_read_peek", b"_mult_recs\0"


def test_a_full_record_is_received(tls: TlsEnds) -> None:
    """tls.recv_max."""
    assert tls.sender.send(pattern(MAX_PLAINTEXT)) == MAX_PLAINTEXT
    assert tls.receiver.recv(MAX_PLAINTEXT) == pattern(MAX_PLAINTEXT)


def test_a_small_record_is_received(tls: TlsEnds) -> None:
    """tls.recv_small."""
    assert tls.sender.send(TEXT) == 10
    assert tls.receiver.recv(10) == TEXT


@pytest.mark.parametrize("content", [pattern(20), pattern(MAX_PLAINTEXT)], ids=["small", "full"])
def test_one_buffer(tls: TlsEnds, content: bytes) -> None:
    """tls.recvmsg_single, tls.recvmsg_single_max."""
    assert tls.sender.send(content) == len(content)
    buffer = bytearray(len(content))
    assert tls.receiver.recvmsg_into([buffer])[0] == len(content)
    assert buffer == content


def test_1024_buffers(tls: TlsEnds) -> None:
    """tls.recvmsg_multiple. S3.3-17."""
    assert tls.sender.send(pattern(MAX_PLAINTEXT)) == MAX_PLAINTEXT
    buffers = [bytearray(16) for _ in range(1024)]
    assert tls.receiver.recvmsg_into(buffers)[0] == MAX_PLAINTEXT
    assert b"".join(buffers) == pattern(MAX_PLAINTEXT)


def test_two_receives_take_one_send(tls: TlsEnds) -> None:
    """tls.single_send_multiple_recv. S2.2-8."""
    content = pattern(2 * MAX_PLAINTEXT)
    assert tls.sender.send(content) == len(content)
    got = [tls.receiver.recv(MAX_PLAINTEXT) for _ in range(2)]
    assert got == [content[:MAX_PLAINTEXT], content[MAX_PLAINTEXT:]]


def test_one_receive_takes_two_sends(tls: TlsEnds) -> None:
    """tls.multiple_send_single_recv. S3.3-3."""
    for _ in range(2):
        assert tls.sender.send(TEXT) == 10
    assert tls.receiver.recv(20, WAITALL) == TEXT * 2


def test_the_second_receive_gets_what_the_first_left(tls: TlsEnds) -> None:
    """tls.single_send_multiple_recv_non_align. S3.3-6."""
    assert tls.sender.send(pattern(15)) == 15
    assert [tls.receiver.recv(10) for _ in range(2)] == [pattern(15)[:10], pattern(15)[10:]]


def test_a_record_is_received_in_parts(tls: TlsEnds) -> None:
    """tls.recv_partial. S3.3-6."""
    assert tls.sender.send(b"test_read_partial\0") == 18
    assert tls.receiver.recv(9, WAITALL) == b"test_read"
    assert tls.receiver.recv(8, WAITALL) == b"_partial"


def test_a_receive_with_dontwait_does_not_wait(tls: TlsEnds) -> None:
    """tls.recv_nonblock. S3.4-1."""
    with pytest.raises(BlockingIOError):
        tls.receiver.recv(100, DONTWAIT)


@pytest.mark.parametrize("peeks", [1, 100])
def test_a_peek_returns_what_the_next_receive_returns(tls: TlsEnds, peeks: int) -> None:
    """tls.recv_peek, tls.recv_peek_multiple. S3.5-1."""
    assert tls.sender.send(b"test_read_peek\0") == 15
    for _ in range(peeks):
        assert tls.receiver.recv(15, PEEK) == b"test_read_peek\0"
    assert tls.receiver.recv(15) == b"test_read_peek\0"


def test_a_peek_returns_the_first_record_or_both_if_they_are_one(tls: TlsEnds) -> None:
    """tls.recv_peek_multiple_records. S3.5-1, S2.2-9."""
    assert tls.sender.send(FIRST) == 14
    assert tls.sender.send(SECOND) == 11
    assert tls.receiver.recv(14, PEEK | WAITALL) == FIRST
    assert tls.receiver.recv(25, WAITALL) == FIRST + SECOND
    assert tls.sender.send(FIRST, MORE) == 14
    assert tls.sender.send(SECOND) == 11
    assert tls.receiver.recv(25, PEEK | WAITALL) == FIRST + SECOND


def test_a_peek_spans_records(tls: TlsEnds) -> None:
    """tls.recv_peek_large_buf_mult_recs. S3.5-2."""
    assert tls.sender.send(FIRST) == 14
    assert tls.sender.send(SECOND) == 11
    assert tls.receiver.recv(25, PEEK | WAITALL) == FIRST + SECOND


def test_the_low_water_mark_counts_plaintext(tls: TlsEnds) -> None:
    """tls.recv_lowat. S3.3-11."""
    assert tls.sender.send(b"0123456789") == 10
    assert tls.sender.send(b"01234") == 5
    tls.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 8)
    assert tls.receiver.recv(1, WAITALL) == b"0"
    assert tls.receiver.recv(6, WAITALL) == b"123456"
    assert tls.receiver.recv(10) == b"78901234"
    assert tls.receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 8


def test_both_directions_have_the_same_key(tls: TlsEnds) -> None:
    """tls.bidir. S1.4-6, S1.4-10."""
    install(tls.receiver, TLS_TX, tls.variant.key(0))
    install(tls.sender, TLS_RX, tls.variant.key(0))
    for sender, receiver in ((tls.sender, tls.receiver), (tls.receiver, tls.sender)):
        assert sender.send(TEXT) == 10
        assert receiver.recv(10) == TEXT


def test_a_record_is_complete_after_a_refused_buffer(tls: TlsEnds) -> None:
    """tls.recv_efault, as far as Python allows: an invalid address cannot be passed."""
    assert tls.sender.send(b"0123456789") == 10
    assert tls.sender.send(b"abcdefghij") == 10
    assert tls.receiver.recv(1) == b"0"
    good = bytearray(12)
    with pytest.raises(TypeError):
        tls.receiver.recvmsg_into([good, None])  # type: ignore[list-item]
    with pytest.raises(BufferError):
        tls.receiver.recvmsg_into([good, b"read-only"])
    assert tls.receiver.recvmsg_into([good])[0] == 12
    assert good == b"123456789abc"
