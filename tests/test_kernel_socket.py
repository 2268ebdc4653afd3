"""KernelSocket: its methods beyond ``socket.socket``, on TCP without the ULP."""

import errno
import io
import os
import select
import socket
from collections.abc import Callable
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
)
from ktls_fast._kernel_socket import KernelSocket
from ktls_fast.selectors import KtlsSelector
from tests.ktls_ends import SOL_TLS, TCP_ULP, TLS_TX, MakePair, fails, generation
from tests.ktls_pipe import PipeEnds
from tests.reference import pattern

Make = Callable[[socket.socket], Any]


def test_calls_pass_through(kernel_ends: tuple[KernelSocket, KernelSocket]) -> None:
    near, far = kernel_ends
    assert near.sendmsg([b"a", b"bc"]) == 3
    assert far.recvmsg(9, 24) == (b"abc", [], 0, None)
    near.sendall(b"hello")
    buffers = [bytearray(2), bytearray(9)]
    assert far.recvmsg_into(buffers, 24) == (5, [], 0, None)
    assert b"".join(buffers)[:5] == b"hello"


def test_results_equal_those_of_the_engine(tcp_pair: MakePair) -> None:
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


def test_splice_passes_through(
    kernel_ends: tuple[KernelSocket, KernelSocket], pipe: PipeEnds
) -> None:
    near, far = kernel_ends
    os.write(pipe[1], b"spliced")
    assert near.splice_from(pipe[0], 100) == 7
    with open(pipe[1], "wb", closefd=False) as file:
        assert far.splice_to(file, 100) == 7
    assert os.read(pipe[0], 100) == b"spliced"


def test_sendfile_passes_through(
    kernel_ends: tuple[KernelSocket, KernelSocket], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(pattern(5000))
    with file.open("rb") as opened:
        assert kernel_ends[0].sendfile(opened, 1000, 3000) == 3000
    assert (
        kernel_ends[1].recv(9000, socket.MSG_WAITALL | socket.MSG_DONTWAIT)
        == pattern(5000)[1000:4000]
    )


def test_options_accept_all_that_the_engine_accepts(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, _ = kernel_ends
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    info = CryptoInfo.from_bytes(generation(0).struct())
    for value in (info, bytes(info), memoryview(bytes(info)), 1):
        with fails(errno.ENOPROTOOPT):
            near.setsockopt(SOL_TLS, TLS_TX, value)
    with fails(errno.ENOPROTOOPT):
        near.setsockopt(SOL_TLS, TLS_TX, None, 40)


def test_errors_have_the_classes_of_this_package(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, _ = kernel_ends
    with pytest.raises(KtlsError, match=r"[Pp]rotocol not available"):
        near.setsockopt(SOL_TLS, TLS_TX, 1)
    near.close()
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        near.send(b"x")
    assert type(caught.value) is OSError


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
def test_an_errno_has_the_same_class_as_in_the_engine(code: int, kind: type[OSError]) -> None:
    def call() -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        _kernel_socket._with_ktls_errors(call)()
    assert type(caught.value) is kind
    assert caught.value.errno == code


def test_a_selector_treats_it_as_an_ordinary_file(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, far = kernel_ends
    with KtlsSelector() as selector:
        key = selector.register(far, EVENT_READ)
        assert selector.select(0) == []
        near.send(b"x")
        assert selector.select(5) == [(key, EVENT_READ)]


def test_a_file_without_a_size_is_sent_by_sendfile(
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    near, far = kernel_ends
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
def test_an_error_of_tcp_has_a_class_of_this_package(
    call: Callable[[KernelSocket], object],
    code: int,
    kernel_ends: tuple[KernelSocket, KernelSocket],
) -> None:
    with pytest.raises(KtlsError) as caught:
        call(kernel_ends[1])
    assert caught.value.errno == code
