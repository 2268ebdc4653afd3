"""Errors, closing and forks of an offload queue, and calls that it refuses."""

import errno
import select
import socket
import subprocess
import sys

import pytest

from ktls_fast import KtlsSocket, OffloadQueue
from tests.conftest import connect_pair
from tests.forked import in_child
from tests.ktls_ends import (
    generation,
)
from tests.offload_queue.ends import (
    PATIENCE,
    RECORD,
    QueueSender,
    wait_until_idle,
)


def test_a_reset_is_reported_once(queue: OffloadQueue) -> None:
    half = QueueSender(queue)
    half.sender.sendall(bytes(RECORD))
    half.drain(10)
    half.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    half.wire.close()
    wait_until_idle(queue)
    assert half.sender.poll(0, PATIENCE) & select.POLLERR
    assert half.sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert half.sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_a_reset_during_a_stream_fails_the_next_send(queue: OffloadQueue) -> None:
    half = QueueSender(queue)
    half.fill()
    half.wire.close()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        half.sender.sendall(bytes(1 << 20))
    wait_until_idle(queue)
    assert queue.stats().depth == 0


def test_accepted_bytes_are_sent_after_a_close(queue: OffloadQueue) -> None:
    half = QueueSender(queue)
    taken = half.fill()
    half.sender.close()
    assert len(half.rest()) == taken // RECORD * (RECORD + 22)


def test_shutdown_follows_the_accepted_bytes(queue: OffloadQueue) -> None:
    half = QueueSender(queue)
    taken = half.fill()
    half.sender.shutdown(socket.SHUT_WR)
    assert len(half.rest()) == taken // RECORD * (RECORD + 22)


def test_closing_the_queue_sends_everything_and_sockets_continue_in_software(
    queue: OffloadQueue,
) -> None:
    half = QueueSender(queue)
    half.sender.sendall(bytes(RECORD))
    queue.close()
    assert queue.closed
    assert len(half.drain(RECORD + 22)) == RECORD + 22
    assert half.sender.send(b"more") == 4
    assert len(half.ended()) == 4 + 22
    assert queue.stats().submitted == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_cannot_use_the_queue_or_sockets_with_data_in_flight(
    queue: OffloadQueue,
) -> None:
    half = QueueSender(queue)
    half.fill()
    busy = str(errno.EBUSY)
    assert in_child(lambda: half.sender.send(b"x")).startswith(busy)
    assert in_child(queue.stats).startswith(busy)
    assert in_child(lambda: KtlsSocket(connect_pair()[0], device=queue)).startswith(busy)
    half.wire.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_continues_in_software_if_nothing_is_in_flight(queue: OffloadQueue) -> None:
    half = QueueSender(queue)
    half.sender.send(b"parent")
    half.drain(6 + 22)
    wait_until_idle(queue)
    assert in_child(lambda: half.sender.send(b"child")) == "5"
    assert generation(0).open(half.drain(5 + 22), nth=1)[1] == b"child"
    half.wire.close()


def test_an_exit_with_a_live_queue_does_not_hang() -> None:
    code = (
        "import tests.offload_queue.ends as t;"
        "q = t.OffloadQueue(); h = t.QueueSender(q); h.fill(); a, b = t.over(q); print(q)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=60, text=True
    )
    assert done.stdout.startswith("<OffloadQueue workers=1 depth=256 slots=64 policy=cover-letter")


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"workers": 257}, "workers 257 is not from 0 to 256"),
        ({"depth": 0}, "depth 0 is not from 1 to 65536"),
        ({"policy": "naive"}, 'policy "naive" is neither "cover-letter" nor "v17"'),
    ],
)
def test_impossible_queue_sizes_are_refused(kwargs: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OffloadQueue(**kwargs)  # type: ignore[arg-type]
