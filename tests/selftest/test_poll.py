"""Fixture "tls": poll."""

from select import POLLIN

from tests.selftest.ends import WAITALL, TlsEnds

TWENTY_MS = 0.02
TEXT = b"test_poll\0"


def test_a_record_is_readable_until_it_is_read(tls: TlsEnds) -> None:
    """tls.pollin. S3.6-1."""
    assert tls.sender.send(TEXT) == 10
    assert tls.receiver.poll(POLLIN, TWENTY_MS) == POLLIN
    assert tls.receiver.recv(10, WAITALL) == TEXT
    assert tls.receiver.poll(POLLIN, TWENTY_MS) == 0


def test_a_record_ends_a_poll_without_a_timeout(tls: TlsEnds) -> None:
    """tls.poll_wait. S3.6-1."""
    assert tls.sender.send(TEXT) == 10
    assert tls.receiver.poll(POLLIN) == POLLIN
    assert tls.receiver.recv(10, WAITALL) == TEXT


def test_the_rest_of_a_record_is_readable(tls: TlsEnds) -> None:
    """tls.poll_wait_split. S3.6-1, S3.3-6."""
    assert tls.sender.send(TEXT * 2) == 20
    assert tls.receiver.poll(POLLIN) == POLLIN
    assert tls.receiver.recv(15, WAITALL) == (TEXT * 2)[:15]
    assert tls.receiver.poll(POLLIN) == POLLIN
    assert tls.receiver.recv(20) == (TEXT * 2)[15:]
    assert tls.receiver.poll(POLLIN, 0) == 0
