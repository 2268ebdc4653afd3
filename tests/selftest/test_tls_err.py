"""Fixture "tls_err": records that are bad, late or half."""

import errno
import random
import socket
import struct
from dataclasses import dataclass
from select import POLLIN
from selectors import EVENT_READ

import pytest

from ktls_fast import KtlsSocket
from ktls_fast._tools.conformance.blocked import blocked, once_blocked
from ktls_fast.selectors import KtlsSelector
from tests.ktls_ends import DONTWAIT, TLS_RX, TLS_TX, MakePair, attach, fails, install, send_typed
from tests.reference import pattern
from tests.selftest.ends import OTHER_TYPE, VARIANTS, Variant

TEXT = pattern(64)
LONG, MS = 20.0, 0.001


@dataclass
class Wires:
    """A sender whose records are taken off the wire, and a receiver that they are injected into."""

    sender: KtlsSocket
    tap: KtlsSocket
    injector: KtlsSocket
    receiver: KtlsSocket

    def sealed(self, data: bytes) -> bytes:
        """Return the record of ``data``."""
        assert self.sender.send(data) == len(data)
        return self.tap.recv(1 << 15)

    def spoilt(self, data: bytes) -> bytes:
        """Return a record of ``data`` whose last byte is wrong."""
        return spoil(self.sealed(data))

    def inject(self, wire: bytes) -> None:
        """Send bytes to the receiver as they are."""
        assert self.injector.send(wire) == len(wire)

    def halves(self) -> tuple[bytes, bytes]:
        """Return the first 100 bytes of a record of 128 bytes."""
        record = self.sealed(pattern(128))
        return record[:100], record[100:]


def spoil(record: bytes) -> bytes:
    return record[:-1] + bytes([(record[-1] + 1) % 256])


@pytest.fixture(params=VARIANTS[:2], ids=lambda variant: variant.name)
def tls_err(request: pytest.FixtureRequest, tcp_pair: MakePair) -> Wires:
    """Return two connections with the ULP, one end of each with a key."""
    variant: Variant = request.param
    wires = Wires(*map(attach, (*tcp_pair(), *tcp_pair())))
    install(wires.sender, TLS_TX, variant.key(0))
    install(wires.receiver, TLS_RX, variant.key(0))
    return wires


def test_a_bad_header_is_reported_once(tls_err: Wires) -> None:
    """tls_err.bad_rec. S3.1-1, S3.1-5."""
    tls_err.inject(b"\x55" * 64)
    with fails(errno.EMSGSIZE):
        tls_err.receiver.recv(64)
    with pytest.raises(BlockingIOError):
        tls_err.receiver.recv(64, DONTWAIT)


def test_a_bad_tag_is_reported_each_time(tls_err: Wires) -> None:
    """tls_err.bad_auth. S3.2-2."""
    tls_err.inject(tls_err.spoilt(TEXT))
    for _ in range(2):
        with fails(errno.EBADMSG):
            tls_err.receiver.recv(64)


def test_a_large_receive_returns_the_data_before_a_bad_record(tls_err: Wires) -> None:
    """tls_err.bad_in_large_read. S3.3-7."""
    tls_err.inject(tls_err.sealed(TEXT) + tls_err.sealed(TEXT[::-1]) + tls_err.spoilt(TEXT))
    assert tls_err.receiver.recv(384) == TEXT + TEXT[::-1]
    for _ in range(2):
        with fails(errno.EBADMSG):
            tls_err.receiver.recv(384)


def test_a_bad_tag_of_a_control_record_precedes_all_other_errors(tls_err: Wires) -> None:
    """tls_err.bad_cmsg. S3.3-7, S3.2-2."""
    good = tls_err.sealed(TEXT)
    assert send_typed(tls_err.sender, b"test_read\0", OTHER_TYPE) == 10
    tls_err.inject(good + spoil(tls_err.tap.recv(100)))
    assert tls_err.receiver.recv(128) == TEXT
    for _ in range(2):
        with fails(errno.EBADMSG):
            tls_err.receiver.recv(128)


def test_so_rcvtimeo_ends_the_wait_for_a_record_and_for_another_reader(tls_err: Wires) -> None:
    """tls_err.timeo, with a thread in place of a process. S3.4-4, S3.3-8."""
    ten_ms = struct.pack("qq", 0, 10_000)
    tls_err.receiver.settimeout(None)
    tls_err.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, ten_ms)
    with blocked(lambda: tls_err.receiver.recv(64)) as got:
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                tls_err.receiver.recv(64)
    assert isinstance(got[0], BlockingIOError)


def test_half_a_record_is_not_readable(tls_err: Wires) -> None:
    """tls_err.poll_partial_rec. S3.1-6, S3.6-1."""
    first, rest = tls_err.halves()
    assert tls_err.receiver.poll(POLLIN, MS) == 0
    tls_err.inject(first)
    assert tls_err.receiver.poll(POLLIN, MS) == 0
    tls_err.inject(rest)
    assert tls_err.receiver.poll(POLLIN, LONG) == POLLIN
    assert tls_err.receiver.recv(128) == pattern(128)


def test_half_a_record_is_not_readable_for_a_selector(tls_err: Wires) -> None:
    """tls_err.epoll_partial_rec, by KtlsSelector, since epoll sees TCP. S3.1-6, S3.6-1."""
    first, rest = tls_err.halves()
    with KtlsSelector() as selector:
        key = selector.register(tls_err.receiver, EVENT_READ)
        assert selector.select(0) == []
        tls_err.inject(first)
        assert selector.select(0) == []
        tls_err.inject(rest)
        assert selector.select(LONG) == [(key, EVENT_READ)]
    assert tls_err.receiver.recv(128) == pattern(128)


def test_half_a_record_does_not_wake_a_poll(tls_err: Wires) -> None:
    """tls_err.poll_partial_rec_async, with a thread in place of a process. S3.1-6."""
    first, rest = tls_err.halves()
    with once_blocked(lambda: tls_err.inject(first)):
        assert tls_err.receiver.poll(POLLIN, 20 * MS) == 0
    with once_blocked(lambda: tls_err.inject(rest)):
        assert tls_err.receiver.poll(POLLIN, LONG) == POLLIN
    assert tls_err.receiver.recv(128) == pattern(128)


def test_urgent_bytes_do_no_harm(tls_err: Wires) -> None:
    """tls_err.oob_pressure. S1.3-9."""
    urgent = b"urgnt"
    assert tls_err.injector.send(urgent, socket.MSG_OOB) == 5
    tls_err.inject(random.Random(5).randbytes(65536))
    for _ in range(64):
        assert tls_err.injector.send(urgent, socket.MSG_OOB) == 5
    with fails(errno.EMSGSIZE):
        tls_err.receiver.recv(100)
