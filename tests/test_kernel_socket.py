"""KernelSocket: what it has beyond ``socket.socket``, over TCP without the ULP."""

import errno
import io
import math
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from selectors import EVENT_READ
from typing import Any, cast

import pytest

from ktls_fast import (
    BadRecordError,
    CryptoInfo,
    KeyExpiredError,
    KtlsError,
    KtlsSocket,
    RecordTooLargeError,
    _kernel_socket,
    _kernel_wait_all,
)
from ktls_fast._kernel_socket import KernelSocket
from ktls_fast._tools.conformance.blocked import once_blocked
from ktls_fast.selectors import KtlsSelector
from tests.ktls_ends import SOL_TLS, TCP_ULP, TLS_TX, Pair, fails, generation
from tests.ktls_pipe import Pipe
from tests.reference import pattern

Make = Callable[[socket.socket], Any]


@pytest.fixture
def ends(tcp_pair: Pair) -> Iterator[tuple[KernelSocket, KernelSocket]]:
    """Two ends without the ULP: the kernel passes everything through."""
    near, far = (KernelSocket.over(sock) for sock in tcp_pair())
    with near, far:
        yield near, far


def test_calls_pass_through(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, far = ends
    assert near.sendmsg([b"a", b"bc"]) == 3
    assert far.recvmsg(9, 24) == (b"abc", [], 0, None)
    near.sendall(b"hello")
    buffers = [bytearray(2), bytearray(9)]
    assert far.recvmsg_into(buffers, 24) == (5, [], 0, None)
    assert b"".join(buffers)[:5] == b"hello"


def test_results_are_those_of_the_engine(tcp_pair: Pair) -> None:
    got = []
    for take in (KernelSocket.over, KtlsSocket):
        near, far = (cast("Make", take)(sock) for sock in tcp_pair())
        with near, far:
            ulp = near.getsockopt(socket.IPPROTO_TCP, TCP_ULP, 8)
            level = far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            polled = (far.poll(select.POLLIN | select.POLLOUT, 0), far.poll(select.POLLIN, 0))
            near.sendmsg([b"one", b"two"])
            received = far.recvmsg(100, 64)
            near.shutdown(socket.SHUT_WR)
            end = far.recvmsg(100, 64)
            got.append((ulp, level, polled, received, end, near.info()))
    assert got[0] == got[1]


def test_poll_tells_the_mask_and_keeps_the_timeout(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, far = ends
    assert far.poll(select.POLLIN, 0.001) == 0
    near.send(b"x")
    assert far.poll(select.POLLIN) == select.POLLIN
    for timeout in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="is not a timeout"):
            far.poll(select.POLLIN, timeout)
    far.close()
    with fails(errno.EBADF):
        far.poll(select.POLLIN, 0)


def test_splice_passes_through(ends: tuple[KernelSocket, KernelSocket], pipe: Pipe) -> None:
    near, far = ends
    os.write(pipe[1], b"spliced")
    assert near.splice_from(pipe[0], 100) == 7
    with open(pipe[1], "wb", closefd=False) as file:
        assert far.splice_to(file, 100) == 7
    assert os.read(pipe[0], 100) == b"spliced"


def test_splice_keeps_the_timeout(ends: tuple[KernelSocket, KernelSocket], pipe: Pipe) -> None:
    with pytest.raises(BlockingIOError):
        ends[1].splice_to(pipe[1], 100, os.SPLICE_F_NONBLOCK)
    ends[1].settimeout(0.001)
    with pytest.raises(TimeoutError, match="timed out"):
        ends[1].splice_to(pipe[1], 100)
    ends[1].settimeout(5)
    with once_blocked(lambda: ends[0].send(b"late")):
        assert ends[1].splice_to(pipe[1], 100) == 4


def test_sendfile_passes_through(ends: tuple[KernelSocket, KernelSocket], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(pattern(5000))
    with file.open("rb") as opened:
        assert ends[0].sendfile(opened, 1000, 3000) == 3000
    assert ends[1].recv(9000, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == pattern(5000)[1000:4000]


def test_options_take_all_that_the_engine_takes(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, _ = ends
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    info = CryptoInfo.from_bytes(generation(0).struct())
    for value in (info, bytes(info), memoryview(bytes(info)), 1):
        with fails(errno.ENOPROTOOPT):
            near.setsockopt(SOL_TLS, TLS_TX, value)
    with fails(errno.ENOPROTOOPT):
        near.setsockopt(SOL_TLS, TLS_TX, None, 40)


def test_refusals_are_of_this_package(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, _ = ends
    with pytest.raises(KtlsError, match=r"[Pp]rotocol not available"):
        near.setsockopt(SOL_TLS, TLS_TX, 1)
    near.close()
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        near.send(b"x")
    assert type(caught.value) is OSError


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
def test_a_receive_waits_for_its_timeout_unless_told_not_to(
    call: Callable[[KernelSocket, int], object], ends: tuple[KernelSocket, KernelSocket]
) -> None:
    near, far = ends
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
def test_a_send_without_room_waits_unless_told_not_to(
    timeout: float | None, ends: tuple[KernelSocket, KernelSocket]
) -> None:
    near, far = ends
    near.settimeout(timeout)
    sent = fill(near)
    with pytest.raises(BlockingIOError):
        near.sendmsg([bytes(1 << 16)], [], socket.MSG_DONTWAIT)
    with once_blocked(lambda: drain(far, sent)):
        assert near.send(b"x") == 1


def fill(end: KernelSocket) -> int:
    """Send until there is no room; gives how many bytes were taken."""
    taken = 0
    try:
        while True:
            taken += end.send(bytes(1 << 16), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return taken


def drain(end: KernelSocket, size: int) -> None:
    """Receive so many bytes."""
    while size:
        size -= len(end.recv(size))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EBADMSG, BadRecordError),
        (errno.EKEYEXPIRED, KeyExpiredError),
        (errno.EMSGSIZE, RecordTooLargeError),
        (errno.EIO, KtlsError),
        (errno.EINVAL, KtlsError),
        (errno.ECONNRESET, ConnectionResetError),
        (errno.EAGAIN, BlockingIOError),
    ],
)
def test_an_errno_has_the_class_that_the_engine_gives_it(code: int, kind: type[OSError]) -> None:
    def call() -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        _kernel_socket._with_ktls_errors(call)()
    assert type(caught.value) is kind
    assert caught.value.errno == code


def test_a_selector_takes_it_as_an_ordinary_file(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, far = ends
    with KtlsSelector() as selector:
        key = selector.register(far, EVENT_READ)
        assert selector.select(0) == []
        near.send(b"x")
        assert selector.select(5) == [(key, EVENT_READ)]


def test_buffers_of_an_iterator_are_there_for_the_second_try(
    ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, far = ends
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
    receive: Callable[[KernelSocket, int], bytes], ends: tuple[KernelSocket, KernelSocket]
) -> None:
    near, far = ends
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
    """What was received into six bytes."""
    room = bytearray(6)
    return bytes(room[: receive(memoryview(room))])


def test_wait_all_ends_at_another_type_of_record_and_at_an_error() -> None:
    control: list[tuple[int, int, bytes]] = [(SOL_TLS, 2, b"\x15")]
    assert _kernel_wait_all._has_control_record(control)
    assert not _kernel_wait_all._has_control_record([(SOL_TLS, 2, b"\x17"), (1, 2, b"\x15")])


def test_wait_all_leaves_a_reset_to_the_next_call(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, far = ends
    far.settimeout(5)
    near.send(b"abc")
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()
    assert far.recv(6, socket.MSG_WAITALL) == b"abc"
    with fails(errno.ECONNRESET):
        far.recv(6, socket.MSG_WAITALL)


def test_what_tells_no_size_is_sent_by_sendfile(ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, far = ends
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert near.sendfile(pipe) == 5
    assert far.recv(99) == b"piped"
    with Path("/proc/self/comm").open("rb") as untold:
        assert near.sendfile(untold) == len(far.recv(99)) > 0
    assert near.sendfile(io.BytesIO(b"held back"), 1, 3) == 3
    assert far.recv(99) == b"eld"
    with pytest.raises(ValueError, match="count is 0"):
        near.sendfile(io.BytesIO(b"x"), count=0)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda end: end.connect(end.getpeername()), errno.EISCONN),
        (lambda end: end.listen(1), errno.EINVAL),
        (lambda end: end.bind(("127.0.0.1", 0)), errno.EINVAL),
    ],
)
def test_what_tcp_refuses_is_an_error_of_this_package(
    call: Callable[[KernelSocket], object], code: int, ends: tuple[KernelSocket, KernelSocket]
) -> None:
    with pytest.raises(KtlsError) as caught:
        call(ends[1])
    assert caught.value.errno == code
