"""splice from and to a pipe: spec 2.4 and 3.7, and the selftest's cases (spec 7.2, 7.3)."""

import errno
import os
import socket
from select import POLLIN

import pytest

from ktls_fast import KeyExpiredError
from tests.blocked import once_blocked
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    PEEK,
    Ends,
    Pair,
    attach,
    ends_over,
    fails,
    raw_over,
    receive,
    send_typed,
)
from tests.ktls_pipe import Pipe
from tests.reference import HANDSHAKE, pattern

NONBLOCK, SPLICE_MORE, GIFT = 2, 4, 8
WAITALL = socket.MSG_WAITALL
LONG, SHORT = 20.0, 0.05


@pytest.fixture
def ends(tcp_pair: Pair) -> Ends:
    return ends_over(tcp_pair)


def test_splice_from_pipe(variant: Ends, pipe: Pipe) -> None:
    content = pattern(16384)
    variant.sender.send(b"test_send\0")
    assert variant.receiver.recv(10, WAITALL) == b"test_send\0"
    os.write(pipe.into, content)
    assert variant.sender.splice_from(pipe.out, len(content)) == len(content)
    assert variant.receiver.recv(len(content), WAITALL) == content


def test_splice_more(ends: Ends, pipe: Pipe) -> None:
    """S2.4-2."""
    os.write(pipe.into, bytes(range(32)))
    for _ in range(32):
        assert ends.sender.splice_from(pipe.out, 1, NONBLOCK | SPLICE_MORE | GIFT) == 1
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1, DONTWAIT)
    ends.sender.send(b"end")
    assert receive(ends.receiver)[0] == bytes(range(32)) + b"end"


def test_splice_short(ends: Ends, pipe: Pipe) -> None:
    """49 buffers of a pipe make one record."""
    pipe.resize(64 * 4096)
    os.set_blocking(pipe.into, False)
    for number in range(48):
        other = os.pipe()
        os.write(other[1], bytes([number]))
        assert os.splice(other[0], pipe.into, 1) == 1
        os.close(other[0])
        os.close(other[1])
    os.write(pipe.into, b"x" * 256)
    assert ends.sender.splice_from(pipe.out, 4144) == 304
    assert receive(ends.receiver, 1000)[0] == bytes(range(48)) + b"x" * 256
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1, DONTWAIT)


def test_what_is_not_sent_stays_in_the_pipe(ends: Ends, pipe: Pipe) -> None:
    ends.fill(bytes(16384))
    os.write(pipe.into, b"stays")
    ends.sender.setblocking(False)
    with pytest.raises(BlockingIOError):
        ends.sender.splice_from(pipe.out, 100)
    assert os.read(pipe.out, 100) == b"stays"


def test_an_empty_pipe_is_waited_for_unless_told_not_to(ends: Ends, pipe: Pipe) -> None:
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


def test_the_end_of_a_pipe_is_0_and_no_record(ends: Ends) -> None:
    out, into = os.pipe()
    os.write(into, b"last")
    os.close(into)
    assert [ends.sender.splice_from(out, 100) for _ in range(3)] == [4, 0, 0]
    os.close(out)
    assert receive(ends.receiver)[0] == b"last"
    assert ends.receiver.poll(POLLIN, 0) == 0


def test_splice_to_pipe(variant: Ends, pipe: Pipe) -> None:
    content = pattern(16384)
    variant.sender.send(content)
    assert variant.receiver.splice_to(pipe.into, 16384) == 16384
    assert os.read(pipe.out, 16384) == content


def test_splice_takes_one_record_a_call(ends: Ends, pipe: Pipe) -> None:
    """S3.7-1."""
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    assert [ends.receiver.splice_to(pipe.into, size) for size in (2, 9, 9)] == [2, 1, 3]
    assert os.read(pipe.out, 9) == b"onetwo"
    with pytest.raises(BlockingIOError):
        ends.receiver.splice_to(pipe.into, 9, NONBLOCK)


@pytest.mark.parametrize("opened", [False, True], ids=["cmsg", "dec_cmsg"])
def test_splice_cmsg_to_pipe(variant: Ends, pipe: Pipe, opened: bool) -> None:
    """S3.7-2."""
    send_typed(variant.sender, b"test_send\0", 100)
    if opened:
        with fails(errno.EIO):
            variant.receiver.recv(10)
    for _ in range(2):
        with fails(errno.EINVAL):
            variant.receiver.splice_to(pipe.into, 10)
    with fails(errno.EIO):
        variant.receiver.recv(10)
    assert receive(variant.receiver, 10, WAITALL) == (b"test_send\0", 100)


def test_recv_and_splice(variant: Ends, pipe: Pipe) -> None:
    content = pattern(16384)
    variant.sender.send(content)
    assert variant.receiver.recv(8192, WAITALL) == content[:8192]
    assert variant.receiver.splice_to(pipe.into, 8192, NONBLOCK) == 8192
    assert os.read(pipe.out, 8192) == content[8192:]


def test_peek_and_splice(variant: Ends, pipe: Pipe) -> None:
    content = pattern(16384)
    for start in range(0, 16384, 4096):
        variant.sender.send(content[start : start + 4096])
    assert variant.receiver.recv(10240, PEEK | WAITALL) == content[:10240]
    for start in range(0, 16384, 4096):
        assert variant.receiver.splice_to(pipe.into, 16384 - start) == 4096
    assert os.read(pipe.out, 16384) == content


def test_splice_to_pipe_small(variant: Ends, pipe: Pipe) -> None:
    content, got = pattern(16384), b""
    pipe.resize(4096)
    variant.sender.send(content)
    while len(got) < len(content):
        size = variant.receiver.splice_to(pipe.into, 16384)
        assert size > 0
        got += os.read(pipe.out, size)
    assert got == content


def test_a_full_pipe_is_waited_for_unless_told_not_to(ends: Ends, pipe: Pipe) -> None:
    pipe.resize(4096)
    os.write(pipe.into, bytes(4096))
    ends.sender.send(b"data")
    with pytest.raises(BlockingIOError):
        ends.receiver.splice_to(pipe.into, 9, NONBLOCK)
    with once_blocked(lambda: os.read(pipe.out, 4096)):
        assert ends.receiver.splice_to(pipe.into, 9) == 4
    assert os.read(pipe.out, 9) == b"data"


def test_a_record_is_waited_for_also_by_a_socket_that_does_not_block(
    ends: Ends, pipe: Pipe
) -> None:
    ends.receiver.setblocking(False)
    with once_blocked(lambda: ends.sender.send(b"late")):
        assert ends.receiver.splice_to(pipe.into, 9) == 4
    with once_blocked(lambda: ends.sender.shutdown(1)):
        assert ends.receiver.splice_to(pipe.into, 9) == 0


def test_splice_rekey(ends: Ends, pipe: Pipe) -> None:
    """S3.7-3."""
    content = pattern(16384)
    ends.sender.send(content[:8192])
    ends.send_key_update()
    ends.rekey_sender(1)
    ends.sender.send(content[8192:])
    assert ends.receiver.splice_to(pipe.into, 16384) == 8192
    with fails(errno.EINVAL):
        ends.receiver.splice_to(pipe.into, 16384)
    for flags in (PEEK, 0):
        assert receive(ends.receiver, 100, flags) == (KEY_UPDATE, HANDSHAKE)
    with pytest.raises(KeyExpiredError):
        ends.receiver.splice_to(pipe.into, 16384)
    ends.rekey_receiver(1)
    assert ends.receiver.splice_to(pipe.into, 16384) == 8192
    assert os.read(pipe.out, 16384) == content
    assert ends.counted("TlsRxRekeyReceived") == 1


def test_rekey_peek_splice(ends: Ends, pipe: Pipe) -> None:
    ends.sender.send(b"before")
    ends.send_key_update()
    assert ends.receiver.recv(100, PEEK) == b"before"
    assert ends.receiver.splice_to(pipe.into, 16384) == 6
    assert os.read(pipe.out, 9) == b"before"
    assert ends.counted("TlsRxRekeyReceived") == 1


def test_a_bad_header_is_told_once_then_only_the_end(tcp_pair: Pair, pipe: Pipe) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.sendall(b"\x17\3\3\xff\xff")
    assert receiver.poll(POLLIN, LONG)
    with fails(errno.EMSGSIZE):
        receiver.splice_to(pipe.into, 9)
    with pytest.raises(BlockingIOError):
        receiver.splice_to(pipe.into, 9, NONBLOCK)
    raw.shutdown(1)
    assert receiver.splice_to(pipe.into, 9) == 0


def test_without_a_key_bytes_are_spliced_as_they_are(tcp_pair: Pair, pipe: Pipe) -> None:
    near, far = map(attach, tcp_pair())
    os.write(pipe.into, b"plain")
    assert near.splice_from(pipe.out, 9) == 5
    assert far.splice_to(pipe.into, 9) == 5
    assert os.read(pipe.out, 9) == b"plain"


def test_what_splice_refuses(ends: Ends, pipe: Pipe) -> None:
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
