"""Timeouts of a ``KernelSocket``, and calls that do not wait."""

import errno
import math
import os
import select
import socket
import struct
from collections.abc import Callable

import pytest

from ktls_fast import (
    _kernel_wait_all,
)
from ktls_fast._kernel_socket import KernelSocket
from ktls_fast._tools.conformance.blocked import once_blocked
from tests.ktls_ends import SOL_TLS, fails
from tests.ktls_pipe import PipeEnds


def test_poll_returns_the_mask_and_obeys_the_timeout(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, far = kernel_ends
    assert far.poll(select.POLLIN, 0.001) == 0
    near.send(b"x")
    assert far.poll(select.POLLIN) == select.POLLIN
    for timeout in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="is not a timeout"):
            far.poll(select.POLLIN, timeout)
    far.close()
    with fails(errno.EBADF):
        far.poll(select.POLLIN, 0)


def test_splice_obeys_the_timeout(
    kernel_ends: tuple[KernelSocket, KernelSocket], pipe: PipeEnds
) -> None:
    with pytest.raises(BlockingIOError):
        kernel_ends[1].splice_to(pipe[1], 100, os.SPLICE_F_NONBLOCK)
    kernel_ends[1].settimeout(0.001)
    with pytest.raises(TimeoutError, match="timed out"):
        kernel_ends[1].splice_to(pipe[1], 100)
    kernel_ends[1].settimeout(5)
    with once_blocked(lambda: kernel_ends[0].send(b"late")):
        assert kernel_ends[1].splice_to(pipe[1], 100) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda end, flags: end.recv(1, flags),
        lambda end, flags: end.recv_into(bytearray(1), 1, flags),
        lambda end, flags: end.recv_into(bytearray(1), flags=flags),
        lambda end, flags: end.recvmsg(1, 0, flags),
        lambda end, flags: end.recvmsg_into([bytearray(1)], 0, flags),
    ],
)
def test_a_receive_obeys_the_timeout_unless_dontwait_is_set(
    call: Callable[[KernelSocket, int], object], kernel_ends: tuple[KernelSocket, KernelSocket]
) -> None:
    near, far = kernel_ends
    with pytest.raises(BlockingIOError):
        call(far, socket.MSG_DONTWAIT)
    far.settimeout(0.001)
    with pytest.raises(TimeoutError):
        call(far, 0)
    far.setblocking(False)
    with pytest.raises(BlockingIOError):
        call(far, 0)
    for timeout in (5, None):
        far.settimeout(timeout)
        with once_blocked(lambda: near.send(b"x")):
            call(far, 0)


@pytest.mark.parametrize("timeout", [5, None])
def test_a_send_without_room_waits_unless_dontwait_is_set(
    timeout: float | None, kernel_ends: tuple[KernelSocket, KernelSocket]
) -> None:
    near, far = kernel_ends
    near.settimeout(timeout)
    sent = fill(near)
    with pytest.raises(BlockingIOError):
        near.sendmsg([bytes(1 << 16)], [], socket.MSG_DONTWAIT)
    with once_blocked(lambda: drain(far, sent)):
        assert near.send(b"x") == 1


def fill(end: KernelSocket) -> int:
    """Send until TCP's buffers are full; return the number of bytes sent."""
    taken = 0
    try:
        while True:
            taken += end.send(bytes(1 << 16), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return taken


def drain(end: KernelSocket, size: int) -> None:
    """Receive ``size`` bytes."""
    while size:
        size -= len(end.recv(size))


def test_buffers_of_an_iterator_are_kept_for_the_second_try(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, far = kernel_ends
    far.settimeout(5)
    near.settimeout(5)
    assert near.sendmsg(iter([b"he"]), iter([])) == 2
    room = bytearray(5)
    assert far.recvmsg_into(iter([room]))[0] == 2
    with once_blocked(lambda: near.send(b"hello")):
        assert far.recvmsg_into(iter([room]))[0] == 5
    assert room == b"hello"


@pytest.mark.parametrize(
    "receive",
    [
        lambda end, flags: end.recv(6, flags),
        lambda end, flags: filled(lambda room: end.recv_into(room, 6, flags)),
        lambda end, flags: end.recvmsg(6, 24, flags)[0],
        lambda end, flags: filled(
            lambda room: end.recvmsg_into([room[:2], room[2:]], 24, flags)[0]
        ),
    ],
)
def test_wait_all_waits_for_all_until_the_timeout(
    receive: Callable[[KernelSocket, int], bytes], kernel_ends: tuple[KernelSocket, KernelSocket]
) -> None:
    near, far = kernel_ends
    far.settimeout(5)
    near.send(b"abc")
    with once_blocked(lambda: near.send(b"def")):
        assert receive(far, socket.MSG_WAITALL) == b"abcdef"
    near.send(b"abc")
    assert receive(far, socket.MSG_WAITALL | socket.MSG_PEEK) == b"abc"
    far.settimeout(0.01)
    assert receive(far, socket.MSG_WAITALL) == b"abc"
    with pytest.raises(TimeoutError):
        receive(far, socket.MSG_WAITALL)
    far.settimeout(5)
    near.send(b"end")
    near.close()
    assert receive(far, socket.MSG_WAITALL) == b"end"
    assert receive(far, socket.MSG_WAITALL) == b""


def filled(receive: Callable[[memoryview], int]) -> bytes:
    """Receive into six bytes, and return what was received."""
    room = bytearray(6)
    return bytes(room[: receive(memoryview(room))])


def test_wait_all_ends_at_another_type_of_record_and_at_an_error() -> None:
    control: list[tuple[int, int, bytes]] = [(SOL_TLS, 2, b"\x15")]
    assert _kernel_wait_all._has_control_record(control)
    assert not _kernel_wait_all._has_control_record([(SOL_TLS, 2, b"\x17"), (1, 2, b"\x15")])


def test_wait_all_leaves_a_reset_to_the_next_call(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, far = kernel_ends
    far.settimeout(5)
    near.send(b"abc")
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()
    assert far.recv(6, socket.MSG_WAITALL) == b"abc"
    with fails(errno.ECONNRESET):
        far.recv(6, socket.MSG_WAITALL)
