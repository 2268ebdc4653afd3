"""Fixture "tls": splice from and to a pipe."""

import errno
import os

import pytest

from tests.ktls_ends import DONTWAIT, PEEK, fails, receive, send_typed
from tests.ktls_pipe import PipeEnds, open_pipe
from tests.reference import MAX_PLAINTEXT, pattern
from tests.selftest.ends import OTHER_TYPE, WAITALL, TlsEnds

NONBLOCK, SPLICE_MORE, GIFT = 2, 4, 8
CONTENT = pattern(MAX_PLAINTEXT)
TEXT = b"test_send\0"


def test_the_contents_of_a_pipe_are_sent(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_from_pipe. S2.4-2."""
    os.write(pipe.into, CONTENT)
    assert tls.sender.splice_from(pipe.out, MAX_PLAINTEXT) == MAX_PLAINTEXT
    assert tls.receiver.recv(MAX_PLAINTEXT, WAITALL) == CONTENT


def test_bytes_are_spliced_one_by_one_into_an_open_record(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_more. S2.4-2."""
    os.write(pipe.into, CONTENT[:32])
    for _ in range(32):
        assert tls.sender.splice_from(pipe.out, 1, NONBLOCK | SPLICE_MORE | GIFT) == 1
    with pytest.raises(BlockingIOError):
        tls.receiver.recv(1, DONTWAIT)
    tls.sender.send(b"end")
    assert receive(tls.receiver)[0] == CONTENT[:32] + b"end"


def test_the_contents_of_two_pipes_are_sent_in_order(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_from_pipe2."""
    with open_pipe() as other:
        for number, each in enumerate((pipe, other)):
            os.write(each.into, CONTENT[8000 * number :][:8000])
            assert tls.sender.splice_from(each.out, 8000) == 8000
    assert tls.receiver.recv(16000, WAITALL) == CONTENT[:16000]


def test_a_pipe_follows_data(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.send_and_splice."""
    assert tls.sender.send(TEXT) == 10
    assert tls.receiver.recv(10, WAITALL) == TEXT
    os.write(pipe.into, CONTENT)
    assert tls.sender.splice_from(pipe.out, MAX_PLAINTEXT) == MAX_PLAINTEXT
    assert tls.receiver.recv(MAX_PLAINTEXT, WAITALL) == CONTENT


def test_a_record_is_spliced_into_a_pipe(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_to_pipe. S3.7-1."""
    assert tls.sender.send(CONTENT) == MAX_PLAINTEXT
    assert tls.receiver.splice_to(pipe.into, MAX_PLAINTEXT) == MAX_PLAINTEXT
    assert os.read(pipe.out, MAX_PLAINTEXT) == CONTENT


def test_a_control_record_is_not_spliced_into_a_pipe(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_cmsg_to_pipe. S3.7-2."""
    assert send_typed(tls.sender, TEXT, OTHER_TYPE) == 10
    with fails(errno.EINVAL):
        tls.receiver.splice_to(pipe.into, 10)
    with fails(errno.EIO):
        tls.receiver.recv(10)
    assert receive(tls.receiver, 10, WAITALL) == (TEXT, OTHER_TYPE)


def test_an_opened_control_record_is_not_spliced_into_a_pipe(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_dec_cmsg_to_pipe. S3.7-2."""
    assert send_typed(tls.sender, TEXT, OTHER_TYPE) == 10
    with fails(errno.EIO):
        tls.receiver.recv(10)
    with fails(errno.EINVAL):
        tls.receiver.splice_to(pipe.into, 10)
    assert receive(tls.receiver, 10, WAITALL) == (TEXT, OTHER_TYPE)


def test_the_rest_of_a_record_is_spliced_into_a_pipe(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.recv_and_splice. S3.3-6."""
    assert tls.sender.send(CONTENT) == MAX_PLAINTEXT
    assert tls.receiver.recv(8192, WAITALL) == CONTENT[:8192]
    assert tls.receiver.splice_to(pipe.into, 8192, NONBLOCK) == 8192
    assert os.read(pipe.out, 8192) == CONTENT[8192:]


def test_a_peeked_record_is_spliced_into_a_pipe(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.peek_and_splice. S3.5-1, S3.7-1."""
    for start in range(0, MAX_PLAINTEXT, 4096):
        assert tls.sender.send(CONTENT[start : start + 4096]) == 4096
    assert tls.receiver.recv(10240, PEEK | WAITALL) == CONTENT[:10240]
    for start in range(0, MAX_PLAINTEXT, 4096):
        assert tls.receiver.splice_to(pipe.into, MAX_PLAINTEXT - start) == 4096
    assert os.read(pipe.out, MAX_PLAINTEXT) == CONTENT


def test_a_record_is_spliced_into_a_small_pipe_in_pieces(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_to_pipe_small. S3.7-1."""
    pipe.resize(4096)
    got = b""
    assert tls.sender.send(CONTENT) == MAX_PLAINTEXT
    while len(got) < MAX_PLAINTEXT:
        size = tls.receiver.splice_to(pipe.into, MAX_PLAINTEXT)
        assert size > 0
        got += os.read(pipe.out, size)
    assert got == CONTENT


def test_49_buffers_of_a_pipe_make_one_record(tls: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_short, with bytes from other pipes in place of vmsplice."""
    pipe.resize(64 * 4096)
    os.set_blocking(pipe.into, False)
    for number in range(48):
        with open_pipe() as other:
            os.write(other.into, CONTENT[number : number + 1])
            assert os.splice(other.out, pipe.into, 1) == 1
    os.write(pipe.into, b"x" * 256)
    assert tls.sender.splice_from(pipe.out, 4144) == 304
    assert tls.receiver.recv(1000) == CONTENT[:48] + b"x" * 256
    with pytest.raises(BlockingIOError):
        tls.receiver.recv(1, DONTWAIT)
