"""Fixture "tls": sent data arrives, in the records that the flags request."""

import errno
import socket

import pytest

from tests.ktls_ends import DONTWAIT, MORE, SOL_TLS, fails, receive, send_typed
from tests.reference import APPLICATION_DATA, MAX_PLAINTEXT, pattern
from tests.selftest.ends import OTHER_TYPE, WAITALL, TlsEnds

TEXT = b"test_read\0"
MESSAGE = b"test_sendmsg\0"


def test_more_holds_data_back_until_the_next_send(tls: TlsEnds) -> None:
    """tls.msg_more. S2.2-9."""
    assert tls.sender.send(TEXT, MORE) == 10
    with pytest.raises(BlockingIOError):
        tls.receiver.recv(10, DONTWAIT)
    assert tls.sender.send(TEXT) == 10
    assert tls.receiver.recv(20, WAITALL) == TEXT * 2


def test_a_record_type_and_more_exclude_each_other(tls: TlsEnds) -> None:
    """tls.cmsg_msg_more. S2.2-4."""
    with fails(errno.EINVAL):
        tls.sender.sendmsg([TEXT], [(SOL_TLS, 1, bytes([OTHER_TYPE]))], MORE)


def test_a_record_type_sends_the_open_record(tls: TlsEnds) -> None:
    """tls.msg_more_then_cmsg. S2.2-6, S3.3-4."""
    assert tls.sender.send(TEXT, MORE) == 10
    with pytest.raises(BlockingIOError):
        tls.receiver.recv(10, DONTWAIT)
    assert send_typed(tls.sender, TEXT, OTHER_TYPE) == 10
    assert tls.receiver.recv(20) == TEXT
    assert receive(tls.receiver, 10, WAITALL) == (TEXT, OTHER_TYPE)


def test_close_does_not_send_an_open_record(tls: TlsEnds) -> None:
    """tls.msg_more_unsent. S2.5-1."""
    assert tls.sender.send(TEXT, MORE) == 10
    with pytest.raises(BlockingIOError):
        tls.receiver.recv(10, DONTWAIT)
    tls.sender.close()
    assert tls.receiver.recv(10) == b""


def test_eor_ends_a_record(tls: TlsEnds) -> None:
    """tls.msg_eor."""
    assert tls.sender.send(TEXT, socket.MSG_EOR) == 10
    assert tls.receiver.recv(10, WAITALL) == TEXT


def test_one_buffer(tls: TlsEnds) -> None:
    """tls.sendmsg_single."""
    assert tls.sender.sendmsg([MESSAGE]) == 13
    assert tls.receiver.recv(13) == MESSAGE


def test_one_to_64_buffers(tls: TlsEnds) -> None:
    """tls.sendmsg_fragmented. S2.2-16."""
    for count in range(1, 65):
        assert tls.sender.sendmsg([MESSAGE] * count) == 13 * count
        assert tls.receiver.recv(13 * count, WAITALL) == MESSAGE * count


def test_a_send_of_two_mebibytes_waits_for_a_reader(tls: TlsEnds) -> None:
    """tls.sendmsg_large. S2.2-13."""
    record = pattern(MAX_PLAINTEXT)
    for _ in range(128):
        assert tls.sender.sendmsg([record]) == MAX_PLAINTEXT
    for _ in range(128):
        assert tls.receiver.recv(MAX_PLAINTEXT, WAITALL) == record


def test_five_buffers_are_one_record(tls: TlsEnds) -> None:
    """tls.sendmsg_multiple. S2.2-16."""
    buffers = [b"test_sendmsg_multiple" + bytes([number]) for number in range(5)]
    assert tls.sender.sendmsg(buffers) == 110
    assert receive(tls.receiver, 200) == (b"".join(buffers), APPLICATION_DATA)


def test_1024_buffers_are_one_record(tls: TlsEnds) -> None:
    """tls.sendmsg_multiple_stress. S2.2-16."""
    content = pattern(MAX_PLAINTEXT)
    buffers = [content[start : start + 16] for start in range(0, MAX_PLAINTEXT, 16)]
    assert tls.sender.sendmsg(buffers) == MAX_PLAINTEXT
    assert tls.receiver.recv(MAX_PLAINTEXT) == content
