"""Several descriptors of one KtlsSocket, and the calls that a connected socket refuses."""

import errno
import os
import socket

import pytest

from ktls_fast import KtlsSocket
from tests.ktls_ends import (
    DONTWAIT,
    TLS_RX,
    KtlsEnds,
    fails,
    generation,
    install,
    receive,
)


def test_a_duplicate_shares_keys_state_and_timeout(ends: KtlsEnds) -> None:
    ends.receiver.settimeout(3)
    with ends.receiver.dup() as other:
        assert other.gettimeout() == 3
        assert other.fileno() not in (-1, ends.receiver.fileno())
        ends.pause()
        with fails(errno.EKEYEXPIRED):
            other.recv(10)
        install(other, TLS_RX, generation(1))
        ends.rekey_sender(1)
        ends.sender.send(b"both")
        assert other.recv(2) + ends.receiver.recv(2) == b"both"


@pytest.mark.parametrize("first", [True, False])
def test_closing_the_last_duplicate_closes_the_socket(ends: KtlsEnds, first: bool) -> None:
    other = ends.sender.dup()
    closed, kept = (ends.sender, other) if first else (other, ends.sender)
    closed.close()
    closed.close()
    assert closed.fileno() == -1
    for call in (lambda: closed.send(b"x"), closed.dup, lambda: closed.poll(1, 0)):
        with fails(errno.EBADF):
            call()
    assert kept.send(b"still open") == 10
    assert ends.receiver.recv(100) == b"still open"
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1, DONTWAIT)
    kept.close()
    assert receive(ends.receiver, flags=0) == (b"", None)


def test_a_dropped_duplicate_closes_its_descriptor(ends: KtlsEnds) -> None:
    with pytest.warns(ResourceWarning, match=r"unclosed <ktls_fast\.KtlsSocket"):
        number = ends.sender.dup().fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    assert ends.sender.send(b"x") == 1


def test_a_socket_with_the_ulp_neither_connects_nor_listens(ends: KtlsEnds) -> None:
    with fails(errno.EISCONN):
        ends.sender.connect(ends.sender.getpeername())
    with fails(errno.EINVAL):
        ends.sender.listen()
    with fails(errno.EINVAL):
        ends.sender.bind(("127.0.0.1", 0))
    assert ends.sender.send(b"x") == 1


def test_a_socket_without_the_ulp_is_a_tcp_socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        KtlsSocket(socket.socket()) as near,
    ):
        near.connect(listener.getsockname())
        near.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
        far, address = listener.accept()
        assert address == near.getsockname()
        far.close()


def test_a_closed_socket_has_no_duplicates(ends: KtlsEnds) -> None:
    ends.sender.close()
    for call in (ends.sender.dup, lambda: ends.sender.listen()):
        with fails(errno.EBADF):
            call()
