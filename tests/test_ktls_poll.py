"""KtlsSocket.poll: ``docs/kernel-rules.md``, S3.6, K-13 and K-19."""

import errno
import os
import signal
import threading
import time
from select import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP

import pytest

from ktls_fast import KtlsSocket
from ktls_fast._tools.conformance.blocked import once_blocked, wait_until_blocked
from tests.ktls_ends import (
    PEEK,
    KtlsEnds,
    MakePair,
    attach,
    fails,
    generation,
    raw_over,
    receive,
    send_typed,
)
from tests.reference import ALERT

SHORT, LONG = 0.2, 60.0
ALL = POLLIN | POLLOUT | POLLPRI | POLLRDHUP


def sleeps_through(end: KtlsSocket, events: int = POLLIN) -> bool:
    """Return True if a poll reports nothing, and uses little CPU time while it waits."""
    before = time.thread_time()
    seen = end.poll(events, SHORT)
    return seen == 0 and time.thread_time() - before < SHORT / 4


def test_plaintext_that_waits_in_the_engine_is_readable(ends: KtlsEnds) -> None:
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    send_typed(ends.sender, b"\1\0", ALERT)
    for data, size in [(b"on", 2), (b"etw", 3), (b"o", 9), (b"\1\0", 9)]:
        assert ends.receiver.poll(ALL, 0) == POLLIN | POLLOUT
        assert receive(ends.receiver, size)[0] == data
    assert ends.receiver.poll(ALL, 0) == POLLOUT


def test_a_peeked_record_stays_readable(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    assert ends.receiver.recv(9, PEEK) == b"data"
    assert ends.receiver.poll(POLLIN, 0) == POLLIN


@pytest.mark.parametrize("cut", [1, 4, 5, 20, 25])
def test_half_a_record_does_not_wake_a_poll_until_the_rest_comes(
    tcp_pair: MakePair, cut: int
) -> None:
    raw, receiver = raw_over(tcp_pair)
    record = generation(0).seal(b"hello")
    raw.sendall(record[:cut])
    assert sleeps_through(receiver)
    with once_blocked(lambda: raw.sendall(record[cut:])):
        assert receiver.poll(POLLIN, LONG) == POLLIN
    assert receiver.recv(10) == b"hello"


def test_only_the_last_piece_of_a_record_makes_it_readable(tcp_pair: MakePair) -> None:
    raw, receiver = raw_over(tcp_pair)
    for byte in generation(0).seal(b"x"):
        assert receiver.poll(POLLIN, 0) == 0
        raw.sendall(bytes([byte]))
    assert receiver.poll(POLLIN, LONG) == POLLIN


def test_k13_a_pending_key_update_hides_records_until_the_rekey(ends: KtlsEnds) -> None:
    ends.pause()
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.poll(ALL, 0) == POLLOUT
    assert sleeps_through(ends.receiver)
    with once_blocked(lambda: ends.rekey_receiver(1)):
        assert ends.receiver.poll(POLLIN, LONG) == POLLIN
    assert ends.receiver.recv(9) == b"new"


def test_k13_after_fin_the_mask_is_that_of_tcp(ends: KtlsEnds) -> None:
    ends.pause()
    ends.sender.shutdown(1)
    assert ends.receiver.poll(ALL, LONG) & POLLIN
    with fails(errno.EKEYEXPIRED):
        ends.receiver.recv(1)


@pytest.mark.parametrize("sent", [b"", b"\x17\3\3", None], ids=["nothing", "half", "a record"])
def test_fin_is_readable(tcp_pair: MakePair, sent: bytes | None) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.sendall(generation(0).seal(b"bye") if sent is None else sent)
    raw.shutdown(1)
    assert receiver.poll(POLLRDHUP, LONG) == POLLRDHUP
    assert receiver.poll(ALL, 0) == POLLIN | POLLOUT | POLLRDHUP
    assert receiver.recv(9) == (b"bye" if sent is None else b"")


def test_fin_wakes_a_poll(ends: KtlsEnds) -> None:
    with once_blocked(lambda: ends.sender.shutdown(1)):
        assert ends.receiver.poll(POLLIN, LONG) == POLLIN
    assert ends.receiver.recv(9) == b""


@pytest.mark.parametrize("events", [0, POLLPRI])
def test_events_that_were_not_requested_do_not_wake_a_poll(ends: KtlsEnds, events: int) -> None:
    ends.sender.send(b"data")
    assert sleeps_through(ends.receiver, events)
    ends.sender.shutdown(1)
    assert sleeps_through(ends.receiver, events)


@pytest.mark.parametrize("events", [0, POLLPRI, POLLIN])
def test_a_bad_header_is_an_error_when_it_arrives(tcp_pair: MakePair, events: int) -> None:
    raw, receiver = raw_over(tcp_pair)
    with once_blocked(lambda: raw.sendall(b"\x17\3\3\xff\xff")):
        assert receiver.poll(events, LONG) == POLLERR
    with fails(errno.EMSGSIZE):
        receiver.recv(9)
    raw.sendall(b"more")
    assert sleeps_through(receiver)


def test_a_bad_tag_is_readable_before_it_is_an_error(tcp_pair: MakePair) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.sendall(generation(1).seal(b"other key"))
    assert receiver.poll(POLLIN, LONG) == POLLIN
    with fails(errno.EBADMSG):
        receiver.recv(9)
    assert receiver.poll(POLLIN, 0) == POLLIN | POLLERR


def test_a_reset_is_reported_as_error_and_hang_up(ends: KtlsEnds) -> None:
    ends.receiver.send(b"plain bytes that the sender never reads")
    ends.sender.poll(POLLIN, LONG)
    with once_blocked(ends.sender.close):
        seen = ends.receiver.poll(POLLIN, LONG)
    assert seen == POLLIN | POLLERR | POLLHUP


def test_a_full_sender_is_writable_when_the_peer_has_read(ends: KtlsEnds) -> None:
    filled = ends.fill(bytes(16384))
    assert ends.sender.poll(POLLOUT, 0) == 0
    assert sleeps_through(ends.sender, POLLOUT)

    def drain() -> None:
        left = filled
        while left:
            left -= len(ends.receiver.recv(1 << 20))

    with once_blocked(drain):
        assert ends.sender.poll(POLLOUT, LONG) == POLLOUT


def test_without_a_key_poll_is_that_of_tcp(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    end = attach(far)
    assert end.poll(ALL, 0) == POLLOUT
    assert sleeps_through(end)
    with once_blocked(lambda: near.send(b"plain")):
        assert end.poll(POLLIN, LONG) == POLLIN


def test_a_poll_takes_no_bytes_from_a_blocked_reader(tcp_pair: MakePair) -> None:
    raw, receiver = raw_over(tcp_pair)
    record = generation(0).seal(b"hello")
    got: list[bytes] = []
    ready = threading.Event()

    def read() -> None:
        ready.set()
        got.append(receiver.recv(10))

    reader = threading.Thread(target=read)
    reader.start()
    assert ready.wait(LONG)
    assert reader.native_id
    wait_until_blocked(reader.native_id)
    for byte in record:
        raw.sendall(bytes([byte]))
        receiver.poll(POLLIN, 0)
    reader.join(LONG)
    assert got == [b"hello"]


def test_plaintext_left_by_a_reader_wakes_a_poll(tcp_pair: MakePair) -> None:
    raw, receiver = raw_over(tcp_pair)
    key = generation(0)
    seen: list[int] = []
    reader = threading.Thread(target=receiver.recv, args=(2,))
    reader.start()
    assert reader.native_id
    wait_until_blocked(reader.native_id)
    poller = threading.Thread(target=lambda: seen.append(receiver.poll(POLLIN, LONG)))
    poller.start()
    assert poller.native_id
    wait_until_blocked(poller.native_id)
    raw.sendall(key.seal(b"hello"))
    reader.join(LONG)
    poller.join(LONG)
    assert seen == [POLLIN]
    assert receiver.recv(9) == b"llo"


def test_a_signal_handler_runs_and_may_end_the_poll(ends: KtlsEnds) -> None:
    class ByeError(Exception):
        pass

    calls = []

    def handler(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ByeError

    def interrupt_twice() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        end = time.monotonic() + LONG
        while not calls and time.monotonic() < end:
            pass
        os.kill(os.getpid(), signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        with once_blocked(interrupt_twice), pytest.raises(ByeError):
            ends.receiver.poll(POLLIN, LONG)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert len(calls) == 2


def test_close_ends_a_poll(ends: KtlsEnds) -> None:
    with once_blocked(ends.receiver.close), fails(errno.EBADF):
        ends.receiver.poll(0, LONG)
    with fails(errno.EBADF):
        ends.receiver.poll(POLLIN, 0)


def test_a_timeout_is_in_seconds_and_not_negative(ends: KtlsEnds) -> None:
    before = time.monotonic()
    assert ends.receiver.poll(POLLIN, timeout=SHORT) == 0
    assert SHORT <= time.monotonic() - before < LONG
    with pytest.raises(ValueError, match="-1"):
        ends.receiver.poll(POLLIN, -1)
