"""splice from and to a pipe: ``docs/kernel-rules.md``, S2.4 and S3.7."""

import errno
import os
import socket
from select import POLLIN

import pytest

from ktls_fast._tools.conformance.blocked import once_blocked
from tests.ktls_ends import (
    KtlsEnds,
    MakePair,
    attach,
    fails,
    raw_over,
    receive,
)
from tests.ktls_pipe import PipeEnds

NONBLOCK = 2
LONG, SHORT = 60.0, 0.05


def test_unsent_bytes_stay_in_the_pipe(ends: KtlsEnds, pipe: PipeEnds) -> None:
    ends.fill(bytes(16384))
    os.write(pipe.into, b"stays")
    ends.sender.setblocking(False)
    with pytest.raises(BlockingIOError):
        ends.sender.splice_from(pipe.out, 100)
    assert os.read(pipe.out, 100) == b"stays"


def test_splice_waits_for_an_empty_pipe_unless_nonblocking(ends: KtlsEnds, pipe: PipeEnds) -> None:
    with pytest.raises(BlockingIOError):
        ends.sender.splice_from(pipe.out, 9, NONBLOCK)
    ends.sender.settimeout(SHORT)
    with pytest.raises(TimeoutError):
        ends.sender.splice_from(pipe.out, 9)
    ends.sender.setblocking(False)
    with once_blocked(lambda: os.write(pipe.into, b"late")):
        assert ends.sender.splice_from(pipe.out, 9) == 4
    os.set_blocking(pipe.out, False)
    with pytest.raises(BlockingIOError):
        ends.sender.splice_from(pipe.out, 9)


def test_the_end_of_a_pipe_returns_0_and_sends_no_record(ends: KtlsEnds) -> None:
    out, into = os.pipe()
    os.write(into, b"last")
    os.close(into)
    assert [ends.sender.splice_from(out, 100) for _ in range(3)] == [4, 0, 0]
    os.close(out)
    assert receive(ends.receiver)[0] == b"last"
    assert ends.receiver.poll(POLLIN, 0) == 0


def test_splice_takes_one_record_a_call(ends: KtlsEnds, pipe: PipeEnds) -> None:
    """S3.7-1."""
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    assert [ends.receiver.splice_to(pipe.into, size) for size in (2, 9, 9)] == [2, 1, 3]
    assert os.read(pipe.out, 9) == b"onetwo"
    with pytest.raises(BlockingIOError):
        ends.receiver.splice_to(pipe.into, 9, NONBLOCK)


def test_splice_waits_for_a_full_pipe_unless_nonblocking(ends: KtlsEnds, pipe: PipeEnds) -> None:
    pipe.resize(4096)
    os.write(pipe.into, bytes(4096))
    ends.sender.send(b"data")
    with pytest.raises(BlockingIOError):
        ends.receiver.splice_to(pipe.into, 9, NONBLOCK)
    with once_blocked(lambda: os.read(pipe.out, 4096)):
        assert ends.receiver.splice_to(pipe.into, 9) == 4
    assert os.read(pipe.out, 9) == b"data"


def test_splice_waits_for_a_record_even_on_a_non_blocking_socket(
    ends: KtlsEnds, pipe: PipeEnds
) -> None:
    ends.receiver.setblocking(False)
    with once_blocked(lambda: ends.sender.send(b"late")):
        assert ends.receiver.splice_to(pipe.into, 9) == 4
    with once_blocked(lambda: ends.sender.shutdown(1)):
        assert ends.receiver.splice_to(pipe.into, 9) == 0


def test_a_bad_header_is_reported_once_and_then_the_end(tcp_pair: MakePair, pipe: PipeEnds) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.sendall(b"\x17\3\3\xff\xff")
    assert receiver.poll(POLLIN, LONG)
    with fails(errno.EMSGSIZE):
        receiver.splice_to(pipe.into, 9)
    with pytest.raises(BlockingIOError):
        receiver.splice_to(pipe.into, 9, NONBLOCK)
    raw.shutdown(1)
    assert receiver.splice_to(pipe.into, 9) == 0


def test_without_a_key_bytes_are_spliced_unchanged(tcp_pair: MakePair, pipe: PipeEnds) -> None:
    near, far = map(attach, tcp_pair())
    os.write(pipe.into, b"plain")
    assert near.splice_from(pipe.out, 9) == 5
    assert far.splice_to(pipe.into, 9) == 5
    assert os.read(pipe.out, 9) == b"plain"


def test_splice_refuses_invalid_arguments(ends: KtlsEnds, pipe: PipeEnds) -> None:
    calls = [(ends.sender.splice_from, pipe.out), (ends.receiver.splice_to, pipe.into)]
    near, far = socket.socketpair()
    with near, far:
        for splice, fd in calls:
            assert splice(fd, 0) == 0
            with fails(errno.EINVAL):
                splice(fd, 9, 16)
            with fails(errno.EINVAL):
                splice(near, 9)
            with fails(errno.EBADF):
                splice(-1, 9)
    os.write(pipe.into, b"data")
    with fails(errno.EBADF):
        ends.sender.splice_from(pipe.into, 9)
    ends.sender.close()
    with fails(errno.EBADF):
        ends.sender.splice_from(pipe.out, 9)
