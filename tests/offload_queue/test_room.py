"""Full rings, and calls that wait for space in them."""

import errno
import os
import select
import signal
import socket

import pytest

from ktls_fast import OffloadQueue
from ktls_fast._tools.conformance.blocked import once_blocked
from tests.ktls_ends import (
    DONTWAIT,
    fails,
)
from tests.offload_queue.ends import (
    PATIENCE,
    RECORD,
    QueueSender,
    try_send,
)


def test_a_full_ring_raises_eagain_and_is_not_writable() -> None:
    with OffloadQueue(depth=4) as queue:
        half = QueueSender(queue)
        taken = half.fill()
        with fails(errno.EAGAIN):
            half.sender.send(b"x", DONTWAIT)
        assert half.sender.poll(select.POLLOUT, 0) == 0
        stats = queue.stats()
        assert stats.depth == 4
        assert stats.ring_full > 0
        records = taken // RECORD
        with once_blocked(lambda: half.drain(records * (RECORD + 22))):
            assert half.sender.poll(select.POLLOUT, PATIENCE) == select.POLLOUT
        half.wire.close()


def test_a_partial_send_returns_the_number_of_accepted_bytes() -> None:
    with OffloadQueue(depth=4) as queue:
        half = QueueSender(queue)
        half.fill()
        half.drain(RECORD + 22)
        big = bytes(4000 * RECORD)  # more than TCP takes in one go
        while (taken := try_send(half.sender, big)) == 0:
            half.drain(RECORD + 22)
        assert 0 < taken < len(big)
        assert taken % RECORD == 0
        half.wire.close()


def test_a_send_to_a_full_ring_times_out() -> None:
    with OffloadQueue(depth=2) as queue:
        half = QueueSender(queue)
        half.fill()
        half.sender.settimeout(0.02)
        with pytest.raises(TimeoutError):
            half.sender.send(b"x")
        half.sender.settimeout(None)
        half.sender.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, (0).to_bytes(8, "little") + b"\x20N" + bytes(6)
        )
        with fails(errno.EAGAIN):
            half.sender.send(b"x")
        half.wire.close()


def test_a_signal_handler_runs_while_a_send_waits() -> None:
    with OffloadQueue(depth=2) as queue:
        half = QueueSender(queue)
        half.fill()

        def interrupted(*_: object) -> None:
            raise InterruptedError(errno.EINTR, "a signal came")

        old = signal.signal(signal.SIGUSR1, interrupted)
        try:
            with once_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1)):  # noqa: SIM117
                with pytest.raises(InterruptedError):
                    half.sender.send(b"x")
        finally:
            signal.signal(signal.SIGUSR1, old)
        half.wire.close()


def test_a_blocked_connection_does_not_stop_another(queue: OffloadQueue) -> None:
    blocked, free = QueueSender(queue), QueueSender(queue)
    blocked.fill()
    free.sender.sendall(bytes(RECORD))
    assert len(free.drain(RECORD + 22)) == RECORD + 22
    blocked.wire.close()
