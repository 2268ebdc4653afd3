"""KtlsSocket used from several threads."""

import errno
import os
import signal
import socket
import threading

import pytest

from ktls_fast._tools.conformance.blocked import blocked, once_blocked
from tests.ktls_ends import (
    DONTWAIT,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    ends_over,
    generation,
    install,
    raw_over,
)
from tests.reference import pattern


@pytest.fixture
def ends(tcp_pair: MakePair) -> KtlsEnds:
    """Return two ends with keys in both directions."""
    ends = ends_over(tcp_pair)
    install(ends.receiver, TLS_TX, generation(9))
    install(ends.sender, TLS_RX, generation(9))
    return ends


def test_a_blocked_reader_blocks_neither_a_writer_nor_a_rekey(ends: KtlsEnds) -> None:
    with blocked(lambda: ends.receiver.recv(100)) as got:
        assert ends.receiver.send(b"other way") == 9
        assert ends.sender.recv(100) == b"other way"
        ends.rekey_receiver(1)
        ends.rekey_sender(1)
        ends.sender.send(b"new")
    assert got == [b"new"]


def test_there_is_one_reader_at_a_time(ends: KtlsEnds) -> None:
    """S3.3-8."""
    with blocked(lambda: ends.receiver.recv(100)) as got:
        with pytest.raises(BlockingIOError):
            ends.receiver.recv(100, DONTWAIT)
        ends.receiver.settimeout(0.01)
        with pytest.raises(TimeoutError):
            ends.receiver.recv(100)
        ends.sender.send(b"for the first")
    assert got == [b"for the first"]


def test_a_close_ends_a_blocked_reader(ends: KtlsEnds) -> None:
    with blocked(lambda: ends.receiver.recv(100)) as got:
        ends.receiver.close()
    assert got == [b""]


def test_a_shutdown_ends_a_blocked_reader(ends: KtlsEnds) -> None:
    """S3.4-6."""
    with blocked(lambda: ends.receiver.recv(100)) as got:
        ends.receiver.shutdown(socket.SHUT_RD)
    assert got == [b""]


def test_a_blocked_reader_after_a_bad_header_gets_the_end(tcp_pair: MakePair) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.send(b"\x17\3\3\xff\xff")
    with pytest.raises(OSError, match="65535") as refused:
        receiver.recv(100)
    assert refused.value.errno == errno.EMSGSIZE
    with blocked(lambda: receiver.recv(100)) as got:
        raw.send(b"more of it")
        raw.close()
    assert got == [b""]


def test_a_signal_handler_runs_while_a_reader_waits(ends: KtlsEnds) -> None:
    """S3.4-5."""
    ran = []
    old = signal.signal(signal.SIGUSR1, lambda *_: ran.append(ends.sender.send(b"data")))
    try:
        with once_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1)):
            assert ends.receiver.recv(100) == b"data"
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert ran == [4]


def test_both_directions_carry_data_at_once(ends: KtlsEnds) -> None:
    data = pattern(3_000_000)

    def echo() -> None:
        left = len(data)
        while left:
            piece = ends.receiver.recv(60_000)
            ends.receiver.sendall(piece)
            left -= len(piece)

    echoer = threading.Thread(target=echo)
    sender = threading.Thread(target=lambda: ends.sender.sendall(data))
    echoer.start()
    sender.start()
    received = bytearray(len(data))
    assert ends.sender.recv_into(received, 0, socket.MSG_WAITALL) == len(data)
    assert received == data
    sender.join()
    echoer.join()


def test_writers_in_several_threads_neither_lose_nor_mix_data(ends: KtlsEnds) -> None:
    """S2.2-3."""

    def write(fill: int) -> None:
        for _ in range(50):
            ends.sender.send(bytes([fill]) * 10_000)

    writers = [threading.Thread(target=write, args=(fill,)) for fill in range(1, 5)]
    for writer in writers:
        writer.start()
    seen = b""
    while len(seen) < 4 * 50 * 10_000:
        piece = ends.receiver.recv(10_000, socket.MSG_WAITALL)
        assert piece == piece[:1] * 10_000
        seen += piece
    for writer in writers:
        writer.join()
