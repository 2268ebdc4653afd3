"""Receiving with KtlsSocket: ``docs/kernel-rules.md``, section 3."""

import errno
import fcntl
import socket
import termios

import pytest

from ktls_fast import BadRecordError, KtlsSocket, RecordTooLargeError
from tests.ktls_ends import (
    DONTWAIT,
    PEEK,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    attach,
    fails,
    generation,
    install,
    raw_over,
    receive,
    send_typed,
)
from tests.reference import ALERT, APPLICATION_DATA, HANDSHAKE, TLS12, TLS13, pattern

EOR, CTRUNC = socket.MSG_EOR, socket.MSG_CTRUNC
HELLO = b"Hello world"


def test_every_delivery_has_its_type_and_a_finished_record_has_eor(ends: KtlsEnds) -> None:
    """S3.3-1, S3.3-2, S3.3-6."""
    ends.sender.send(b"hello")
    data = [(SOL_TLS, 2, b"\x17")]
    assert ends.receiver.recvmsg(2, 64) == (b"he", data, 0, None)
    assert ends.receiver.recvmsg(9, 64) == (b"llo", data, EOR, None)


@pytest.mark.parametrize("room", [0, 15, 16, 17, 24])
def test_data_needs_no_control_buffer_and_control_needs_17_bytes(ends: KtlsEnds, room: int) -> None:
    """S3.3-5."""
    ends.sender.send(b"data")
    send_typed(ends.sender, b"\1\0", ALERT)
    _, control, flags, _ = ends.receiver.recvmsg(4, room)
    assert bool(flags & CTRUNC) == (room < 17)
    assert control == {16: [(SOL_TLS, 2, b"")]}.get(
        room, [(SOL_TLS, 2, b"\x17")] if room > 16 else []
    )
    if room < 17:
        with fails(errno.EIO):
            ends.receiver.recvmsg(100, room)
    assert receive(ends.receiver) == (b"\1\0", ALERT)


def test_one_call_spans_data_records_and_stops_before_control(ends: KtlsEnds) -> None:
    """S3.3-3, S3.3-4."""
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    send_typed(ends.sender, b"\1\0", ALERT)
    send_typed(ends.sender, b"\2\0", ALERT)
    assert receive(ends.receiver) == (b"onetwo", APPLICATION_DATA)
    assert receive(ends.receiver) == (b"\1\0", ALERT)
    assert receive(ends.receiver) == (b"\2\0", ALERT)


def test_undelivered_records_leave_at_most_zeros_in_the_buffer(ends: KtlsEnds) -> None:
    """S3.3-4; that they are opened there is not the kernel's way."""
    ends.sender.send(b"one")
    send_typed(ends.sender, b"\1\0", ALERT)
    ends.sender.send(b"secret" * 5)
    buffer = bytearray(b"." * 100)
    assert ends.receiver.recv_into(buffer) == 3
    assert buffer[:3] == b"one"
    assert set(buffer[3:]) <= set(b".\0")
    assert receive(ends.receiver) == (b"\1\0", ALERT)
    assert receive(ends.receiver) == (b"secret" * 5, APPLICATION_DATA)


@pytest.mark.parametrize("sizes", [[11], [1] * 11, [3, 0, 5, 100], [0, 12]])
def test_recvmsg_into_fills_buffers_in_order(ends: KtlsEnds, sizes: list[int]) -> None:
    """S3.3-17."""
    ends.sender.send(b"hello ")
    ends.sender.send(b"world")
    buffers = [bytearray(b"." * size) for size in sizes]
    count, control, flags, address = ends.receiver.recvmsg_into(buffers, 64)
    assert (count, control, flags, address) == (11, [(SOL_TLS, 2, b"\x17")], EOR, None)
    whole = b"".join(buffers)
    assert whole[:11] == HELLO.lower()
    assert set(whole[11:]) <= {0, ord(".")}


def test_fionread_does_not_count_what_was_read_ahead(ends: KtlsEnds) -> None:
    """A difference from the kernel: see docs/kernel-differences.md."""
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    assert _bytes_waiting_in_tcp(ends.receiver) == 2 * (3 + 22)
    assert ends.receiver.recv(3) == b"one"
    assert _bytes_waiting_in_tcp(ends.receiver) == 0
    assert ends.receiver.recv(3) == b"two"


def _bytes_waiting_in_tcp(end: KtlsSocket) -> int:
    return int.from_bytes(fcntl.ioctl(end.fileno(), termios.FIONREAD, bytes(4)), "little")


def test_overlapping_buffers_are_refused(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    buffer = bytearray(8)
    with fails(errno.EINVAL):
        ends.receiver.recvmsg_into([buffer, buffer])
    assert ends.receiver.recv(8) == b"data"


def test_bytes_after_a_record_that_fits_exactly_are_unchanged(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    buffer = bytearray(b"." * 8)
    assert ends.receiver.recv_into(buffer) == 4
    assert buffer == b"data...."


def test_nothing_of_an_undelivered_record_stays_in_the_callers_buffer(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    send_typed(ends.sender, b"secret", HANDSHAKE)
    buffer = bytearray(b"." * 20)
    assert ends.receiver.recv_into(buffer) == 4
    assert b"secret"[:1] not in buffer[4:]
    assert receive(ends.receiver) == (b"secret", HANDSHAKE)


def test_peek_spans_records_and_consumes_nothing(ends: KtlsEnds) -> None:
    """S3.5-1, S3.5-2, S3.5-3."""
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    assert ends.receiver.recvmsg(9, 64, PEEK)[::2] == (b"onetwo", 0)
    assert ends.receiver.recvmsg(9, 64, PEEK)[::2] == (b"onetwo", EOR)
    assert ends.receiver.recv(9) == b"onetwo"


def test_waitall_waits_across_records(ends: KtlsEnds) -> None:
    """S3.3-10."""
    ends.sender.send(pattern(40000))
    assert ends.receiver.recv(40000, socket.MSG_WAITALL) == pattern(40000)


def test_data_comes_before_a_bad_record_which_stays(tcp_pair: MakePair) -> None:
    """S3.3-7, S3.2-2."""
    raw, receiver = raw_over(tcp_pair)
    bad = bytearray(generation(0).seal(b"bad", nth=1))
    bad[-1] ^= 1
    raw.send(generation(0).seal(b"good") + bad)
    assert receiver.recv(100) == b"good"
    for _ in range(2):
        with pytest.raises(BadRecordError):
            receiver.recv(100)


HEADERS = {
    "too long": (b"\x17\3\3\x40\x12", errno.EMSGSIZE),
    "too short": (b"\x14\3\3\0\1\1", errno.EBADMSG),
    "version": (b"\x17\3\1\0\x20", errno.EINVAL),
    "plain text": (b"GET / HTTP/1.0\r\n\r\n", errno.EINVAL),
}


@pytest.mark.parametrize(("header", "code"), HEADERS.values(), ids=HEADERS.keys())
def test_a_bad_header_is_reported_once(tcp_pair: MakePair, header: bytes, code: int) -> None:
    """S3.1-1, S3.1-2, S3.1-3, S3.1-5."""
    raw, receiver = raw_over(tcp_pair)
    raw.send(header)
    with fails(code):
        receiver.recv(100)
    raw.send(generation(0).seal(b"good"))
    with pytest.raises(BlockingIOError):
        receiver.recv(100, DONTWAIT)
    raw.close()
    assert receiver.recv(100) == b""


def test_a_bad_header_stops_a_send_before_it_is_received(tcp_pair: MakePair) -> None:
    """S3.1-5, S2.2-11."""
    raw, receiver = raw_over(tcp_pair)
    install(receiver, TLS_TX, generation(1))
    raw.send(b"\x17\3\3\xff\xff")
    with pytest.raises(RecordTooLargeError):
        receiver.send(b"x")
    assert receiver.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMSGSIZE
    assert receiver.send(b"x") == 1


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 20, 25])
def test_the_end_inside_a_record_is_an_ordinary_end(tcp_pair: MakePair, cut: int) -> None:
    """S3.4-2."""
    raw, receiver = raw_over(tcp_pair)
    raw.send(generation(0).seal(b"whole") + generation(0).seal(b"half", nth=1)[:cut])
    raw.close()
    assert receiver.recv(100) == b"whole"
    assert receiver.recv(100) == b""


def test_bytes_that_came_before_the_key_are_records(tcp_pair: MakePair) -> None:
    """S1.4-12."""
    raw, far = tcp_pair()
    raw.send(generation(0).seal(b"early"))
    receiver = attach(far)
    install(receiver, TLS_RX, generation(0))
    assert receiver.recv(100) == b"early"


def test_without_a_key_bytes_pass_through(tcp_pair: MakePair) -> None:
    """S1.3-9."""
    near, far = map(attach, tcp_pair())
    assert send_typed(near, b"plain", HANDSHAKE) == 5
    assert far.recvmsg(100, 64) == (b"plain", [], 0, None)


def test_a_close_with_unread_records_resets_the_peer(ends: KtlsEnds) -> None:
    """S2.5-5."""
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    assert ends.receiver.recv(3) == b"one"
    ends.receiver.close()
    with pytest.raises(ConnectionResetError):
        ends.sender.send(b"three")


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_records_split_at_every_byte_arrive(tcp_pair: MakePair, version: int) -> None:
    raw, receiver = raw_over(tcp_pair, version)
    key = generation(0, version)
    wire = b"".join(key.seal(pattern(size), nth=nth) for nth, size in enumerate((1, 7, 30)))
    for number in range(len(wire)):
        raw.send(wire[number : number + 1])
    assert receiver.recv(38, socket.MSG_WAITALL) == pattern(1) + pattern(7) + pattern(30)
