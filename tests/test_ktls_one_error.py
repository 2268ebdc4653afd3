"""One ``sk_err`` for TCP and the record layer, in directions without a key too (S3.4-7, S3.4-8)."""

import errno
import os
import select
import socket
import struct

import pytest

from ktls_fast import KtlsSocket
from ktls_fast._tools.conformance.blocked import once_blocked
from tests.ktls_ends import (
    DONTWAIT,
    MORE,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    MakePair,
    attach,
    attached,
    fails,
    generation,
    install,
    raw_over,
    send_typed,
)
from tests.ktls_pipe import PipeEnds
from tests.reference import AES_GCM_128, TLS12, traffic_key

LONG = bytes.fromhex("170303ffff")


LAST = (1 << 64) - 1


KEY = generation(0)


BAD = KEY.seal(b"bad")[:-1] + b"?"


def so_error(end: KtlsSocket) -> int | bytes:
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def reset(sock: socket.socket, seen_by: KtlsSocket) -> None:
    """Close so that the peer gets a reset, and wait for it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    poll = select.poll()
    poll.register(seen_by.fileno(), 0)
    assert poll.poll(10_000)


def wire(sock: socket.socket) -> bytes:
    """Return everything that has arrived."""
    sock.setblocking(False)
    try:
        return sock.recv(1 << 16)
    except BlockingIOError:
        return b""


def test_a_bad_header_after_a_record_is_reported_after_a_reset(tcp_pair: MakePair) -> None:
    near, end = raw_over(tcp_pair)
    near.sendall(KEY.seal(b"good") + LONG)
    reset(near, end)
    assert end.recv(100, DONTWAIT) == b"good"
    with fails(errno.EMSGSIZE):
        end.recv(100, DONTWAIT)
    assert end.recv(100, DONTWAIT) == b""
    assert so_error(end) == 0


def test_a_reset_that_a_send_met_is_reported_once(tcp_pair: MakePair) -> None:
    near, end = raw_over(tcp_pair)
    install(end, TLS_TX, generation(1))
    near.sendall(LONG)
    reset(near, end)
    for _ in range(2):
        with fails(errno.ECONNRESET):
            end.send(b"x")
    with fails(errno.ECONNRESET):
        end.recv(100, DONTWAIT)
    assert end.recv(100, DONTWAIT) == b""
    assert end.send(b"x") == 1


def test_a_record_that_does_not_open_ends_sends_after_a_reset(tcp_pair: MakePair) -> None:
    near, end = raw_over(tcp_pair)
    install(end, TLS_TX, generation(1))
    near.sendall(BAD)
    reset(near, end)
    for _ in range(2):
        with fails(errno.EBADMSG):
            end.recv(100, DONTWAIT)
        with fails(errno.EBADMSG):
            end.send(b"x")
    assert so_error(end) == errno.EBADMSG
    assert so_error(end) == 0
    assert end.send(b"x") == 1


def test_a_reset_after_a_record_that_does_not_open_replaces_its_error(tcp_pair: MakePair) -> None:
    near, end = raw_over(tcp_pair)
    near.sendall(BAD)
    with fails(errno.EBADMSG):
        end.recv(100, DONTWAIT)
    reset(near, end)
    assert so_error(end) == errno.ECONNRESET
    assert so_error(end) == 0


def test_splice_of_a_bad_record_sets_the_error_of_plain_sends(
    tcp_pair: MakePair, pipe: PipeEnds
) -> None:
    near, end = raw_over(tcp_pair)
    near.sendall(BAD)
    with fails(errno.EBADMSG):
        end.splice_to(pipe[1], 100)
    with fails(errno.EBADMSG):
        end.sendmsg([])
    assert end.send(b"plain") == 5
    assert near.recv(100) == b"plain"


def test_a_splice_without_a_key_reports_the_error_after_the_data_of_tcp(
    tcp_pair: MakePair, pipe: PipeEnds
) -> None:
    near, far = tcp_pair()
    end = attach(far)
    install(end, TLS_TX, KEY.at(LAST))
    with fails(errno.EBADMSG):
        end.send(b"last")
    near.sendall(b"data")
    assert end.splice_to(pipe[1], 100) == 4
    with fails(errno.EBADMSG):
        end.splice_to(pipe[1], 100, os.SPLICE_F_NONBLOCK)
    with pytest.raises(BlockingIOError):
        end.splice_to(pipe[1], 100, os.SPLICE_F_NONBLOCK)


def test_a_splice_without_a_key_waits(tcp_pair: MakePair, pipe: PipeEnds) -> None:
    near, far = tcp_pair()
    end = attach(far)
    with once_blocked(lambda: near.send(b"late")):
        assert end.splice_to(pipe[1], 100) == 4


def test_fin_does_not_clear_the_error(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    end = attach(far)
    install(end, TLS_TX, KEY.at(LAST))
    with fails(errno.EBADMSG):
        end.send(b"last")
    near.shutdown(socket.SHUT_WR)
    assert end.recv(100) == b""
    assert so_error(end) == errno.EBADMSG


@pytest.mark.parametrize(
    ("control", "taken"),
    [
        ([(socket.SOL_SOCKET, 99, b"x")], False),
        ([(socket.SOL_SOCKET, 36, b"x")], False),
        ([(SOL_TLS, 99, b"x"), (socket.SOL_SOCKET, 99, b"")], False),
        ([(SOL_TLS, 99, b"x"), (0, 99, b"")], True),
    ],
)
def test_control_messages_without_a_key_are_passed_to_tcp(
    control: list[tuple[int, int, bytes]], taken: bool, tcp_pair: MakePair
) -> None:
    near, far = tcp_pair()
    end = attach(far)
    if taken:
        assert end.sendmsg([b"x"], control) == 1
    else:
        with fails(errno.EINVAL):
            end.sendmsg([b"x"], control)
    end.close()
    assert near.recv(100) == b"x" * taken


@pytest.mark.parametrize("behind", [[(SOL_TLS, 1, b"")], [(SOL_TLS, 9, b"x")]])
def test_a_good_type_ends_an_open_record_before_the_call_is_refused(
    behind: list[tuple[int, int, bytes]], tcp_pair: MakePair
) -> None:
    ends = attached(tcp_pair)
    install(ends.sender, TLS_TX, KEY)
    install(ends.receiver, TLS_RX, KEY)
    for text in (b"one", b"two"):
        ends.sender.send(text, MORE)
        with fails(errno.EINVAL):
            ends.sender.sendmsg([b"x"], [(SOL_TLS, 1, b"\x15"), *behind])
        assert ends.receiver.recv(100) == text


def test_an_open_record_that_met_an_error_is_sent_with_the_next_one(tcp_pair: MakePair) -> None:
    near, end = raw_over(tcp_pair)
    install(end, TLS_TX, generation(1))
    end.send(b"open", MORE)
    near.sendall(BAD)
    with fails(errno.EBADMSG):
        end.recv(100, DONTWAIT)
    for _ in range(2):
        with fails(errno.EBADMSG):
            send_typed(end, b"x", 21)
    assert wire(near) == b""
    assert so_error(end) == errno.EBADMSG
    assert end.send(b"", MORE) == 0
    assert wire(near) == b""
    assert end.send(b"y") == 1
    assert wire(near) == generation(1).seal(b"open") + generation(1).seal(b"y", nth=1)


@pytest.mark.parametrize("parts", [[b"last"], [b"la", b"st"], [bytes(40_000)]])
@pytest.mark.parametrize("version", [TLS12, KEY.version])
def test_nothing_of_a_send_under_the_last_number_reaches_the_wire(
    parts: list[bytes], version: int, tcp_pair: MakePair
) -> None:
    near, far = tcp_pair()
    end = attach(far)
    key = traffic_key(version, AES_GCM_128, seed=0)
    install(end, TLS_TX, key.at(LAST))
    with fails(errno.EBADMSG):
        end.sendmsg(parts)
    assert so_error(end) == errno.EBADMSG
    assert end.send(b"next") == 4
    got = near.recv(1 << 16)
    assert len(got) == key.overhead + 4
    end.close()
    assert near.recv(1 << 16) == b""


def test_data_before_the_last_number_are_counted(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    end = attach(far)
    install(end, TLS_TX, KEY.at(LAST - 1))
    assert end.send(bytes(20_000)) == 16384
    with fails(errno.EBADMSG):
        end.send(b"x")
    end.close()
    got = b"".join(iter(lambda: near.recv(1 << 16), b""))
    assert len(got) == 16384 + KEY.overhead


def test_an_address_is_ignored_but_must_be_valid(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    end = attach(far)
    install(end, TLS_TX, KEY)
    assert end.sendto(b"one", ("127.0.0.1", 9)) == 3
    assert end.sendto(b"two", DONTWAIT, ("::1", 9, 0, 0)) == 3
    assert end.sendmsg([b"abc"], [], 0, ("127.0.0.1", 9)) == 3
    assert end.sendmsg([b"abc"], [], 0, None) == 3
    for wrong in ("127.0.0.1", 9, None):
        with pytest.raises(TypeError):
            end.sendto(b"x", wrong)  # type: ignore[arg-type]
    end.close()
    got = b"".join(iter(lambda: near.recv(1 << 16), b""))
    assert len(got) == 4 * (KEY.overhead + 3)
