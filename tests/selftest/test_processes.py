"""Fixture "tls": two processes, and many readers and writers of one connection."""

import contextlib
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from select import POLLIN, POLLOUT, select
from tempfile import TemporaryFile

import pytest

from ktls_fast import KtlsSocket
from tests.ktls_pipe import PipeEnds, open_pipe
from tests.reference import MAX_PLAINTEXT, pattern
from tests.selftest.ends import TlsEnds
from tests.selftest.processes import in_child

SIZE = 100_000
PATIENCE = 60.0

# What each of the more numerous side carries. The selftest has 6,000,000 bytes; with these a run of
# all variants seals 0.2 GB and not 4.
UNIT = 300_000
READ, WRITTEN = 8001, 60_000


def test_two_blocking_processes_exchange_data(tls: TlsEnds) -> None:
    """tls.blocking."""
    content = pattern(SIZE)

    def receive_all() -> None:
        got = b""
        while len(got) < SIZE:
            got += tls.receiver.recv(MAX_PLAINTEXT)
        assert got == content

    with in_child(receive_all):
        for start in range(0, SIZE, MAX_PLAINTEXT):
            piece = content[start : start + MAX_PLAINTEXT]
            assert tls.sender.send(piece) == len(piece)


def test_two_non_blocking_processes_exchange_data(tls: TlsEnds) -> None:
    """tls.nonblocking; the receiver starts when the sender found no room, so both see EAGAIN."""
    content = pattern(SIZE)
    tls.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100)
    tls.sender.setblocking(False)
    tls.receiver.setblocking(False)

    def receive_all() -> None:
        with pytest.raises(BlockingIOError):
            tls.receiver.recv(MAX_PLAINTEXT)
        os.write(ready.into, b"r")
        wait_for_byte(filled)
        got = b""
        while len(got) < SIZE:
            assert tls.receiver.poll(POLLIN, PATIENCE) == POLLIN
            got += tls.receiver.recv(MAX_PLAINTEXT)
        assert got == content

    with open_pipe() as ready, open_pipe() as filled, in_child(receive_all):
        wait_for_byte(ready)
        sent = fill(tls.sender, content)
        assert 0 < sent < SIZE
        os.write(filled.into, b"f")
        while sent < SIZE:
            assert tls.sender.poll(POLLOUT, PATIENCE) == POLLOUT
            sent += fill(tls.sender, content[sent:])


def wait_for_byte(pipe: PipeEnds) -> None:
    assert select([pipe.out], [], [], PATIENCE)[0], "the other process does not answer"
    os.read(pipe.out, 1)


def fill(end: KtlsSocket, content: bytes) -> int:
    """Send until TCP's buffers are full; return the number of bytes sent."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < len(content):
            sent += end.send(content[sent : sent + MAX_PLAINTEXT])
    return sent


def send_share(end: KtlsSocket, number: int, size: int) -> None:
    while size:
        size -= end.send(bytes([number]) * min(size, WRITTEN))


def send_share_of_a_file(end: KtlsSocket, number: int, size: int) -> None:
    with TemporaryFile() as file:
        file.write(bytes([number]) * WRITTEN)
        file.flush()
        while size:
            size -= end.sendfile(file, 0, min(size, WRITTEN))


def receive_share(end: KtlsSocket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += end.recv(min(READ, size - len(got)))
    return got


SIDES = {"even": (6, 6), "readers": (4, 12), "writers": (10, 2)}
WAYS = {"send": send_share, "sendfile": send_share_of_a_file}


@pytest.mark.parametrize("write_share", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(("readers", "writers"), SIDES.values(), ids=SIDES.keys())
def test_readers_and_writers_share_a_connection(
    tls: TlsEnds, readers: int, writers: int, write_share: Callable[[KtlsSocket, int, int], None]
) -> None:
    """tls.mutliproc_even, tls.mutliproc_readers, tls.mutliproc_writers. S2.2-3, S3.3-8.

    By sendfile: tls.mutliproc_sendpage_even, tls.mutliproc_sendpage_readers and
    tls.mutliproc_sendpage_writers. With threads in place of processes, which cannot share an end.
    """
    total = max(readers, writers) * UNIT
    with ThreadPoolExecutor(readers + writers) as pool:
        reads = [pool.submit(receive_share, tls.receiver, total // readers) for _ in range(readers)]
        writes = [
            pool.submit(write_share, tls.sender, number, total // writers)
            for number in range(writers)
        ]
        for write in writes:
            write.result(PATIENCE)
        got = b"".join(read.result(PATIENCE) for read in reads)
    assert [got.count(bytes([number])) for number in range(writers)] == [total // writers] * writers
