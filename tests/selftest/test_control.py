"""Fixture "tls": records of other types, the end, and getsockopt."""

import errno
import socket

import pytest

from tests.ktls_ends import (
    DONTWAIT,
    MORE,
    PEEK,
    SOL_TLS,
    TCP_ULP,
    TLS_TX,
    fails,
    receive,
    send_typed,
)
from tests.reference import APPLICATION_DATA
from tests.selftest.ends import OTHER_TYPE, WAITALL, TlsEnds

TEXT = b"test_read\0"


def test_a_control_record_is_peeked_at_and_received_with_its_type(tls: TlsEnds) -> None:
    """tls.control_msg. S3.3-1, S3.3-5."""
    assert send_typed(tls.sender, TEXT, OTHER_TYPE) == 10
    with fails(errno.EIO):
        tls.receiver.recv(10)
    for flags in (PEEK, 0):
        assert receive(tls.receiver, 10, flags | WAITALL) == (TEXT, OTHER_TYPE)


def test_control_records_are_not_merged(tls: TlsEnds) -> None:
    """tls.control_msg_nomerge. S3.3-3."""
    for text in (b"rec1\0", b"rec2\0"):
        assert send_typed(tls.sender, text, OTHER_TYPE) == 5
    for flags in (PEEK, PEEK, 0):
        assert receive(tls.receiver, 15, flags) == (b"rec1\0", OTHER_TYPE)
    assert receive(tls.receiver, 15, 0) == (b"rec2\0", OTHER_TYPE)


def test_a_peek_of_data_stops_before_control(tls: TlsEnds) -> None:
    """tls.data_control_data. S3.5-2."""
    assert tls.sender.send(b"rec1\0") == 5
    assert send_typed(tls.sender, b"rec2\0", OTHER_TYPE) == 5
    assert tls.sender.send(b"rec3\0") == 5
    for _ in range(2):
        assert receive(tls.receiver, 15, PEEK) == (b"rec1\0", APPLICATION_DATA)


def shut_down(ends: TlsEnds) -> None:
    for end in (ends.sender, ends.receiver):
        end.shutdown(socket.SHUT_RDWR)


def test_both_ends_shut_down(tls: TlsEnds) -> None:
    """tls.shutdown."""
    assert tls.sender.send(TEXT) == 10
    assert tls.receiver.recv(10) == TEXT
    shut_down(tls)
    assert tls.receiver.recv(10) == b""


def test_a_shutdown_discards_an_open_record(tls: TlsEnds) -> None:
    """tls.shutdown_unsent. S2.5-1."""
    assert tls.sender.send(TEXT, MORE) == 10
    shut_down(tls)
    assert tls.receiver.recv(10, DONTWAIT) == b""


def test_a_socket_cannot_be_reused_after_shutdown(tls: TlsEnds) -> None:
    """tls.shutdown_reuse."""
    shut_down(tls)
    tls.receiver.close()
    tls.sender.bind(("127.0.0.1", 0))
    with fails(errno.EINVAL):
        tls.sender.listen(10)
    with fails(errno.EISCONN):
        tls.sender.connect(tls.sender.getsockname())
    assert tls.sender.recv(10) == b""
    with fails(errno.EEXIST):
        tls.sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")


def test_getsockopt_returns_the_head_or_the_whole_struct(tls: TlsEnds) -> None:
    """tls.getsockopt. S1.5-1, S1.5-2."""
    key = tls.variant.key(0).struct()
    for size in (4, len(key)):
        assert tls.sender.getsockopt(SOL_TLS, TLS_TX, size) == key[:size]
    for size in (3, len(key) - 1):
        with pytest.raises(OSError, match=str(size)) as refused:
            tls.sender.getsockopt(SOL_TLS, TLS_TX, size)
        assert refused.value.errno == errno.EINVAL
