"""Fixture "tls_basic": ends without keys, and the effect of the first keys."""

import errno
import struct

import pytest

from tests.ktls_ends import SOL_TLS, TLS_RX, TLS_TX, KtlsEnds, fails, install
from tests.reference import AES_GCM_128, TLS12, TLS13
from tests.selftest.ends import filled, rekey_counters

MESSAGE = b"test_message\0"


def key(number: int, version: int = TLS13) -> bytes:
    return filled(AES_GCM_128, number, version).struct()


def test_without_keys_bytes_pass_unchanged(tls_basic: KtlsEnds) -> None:
    """tls_basic.base_base. S1.3-9."""
    assert tls_basic.sender.send(b"test_read\0") == 10
    assert tls_basic.receiver.recv(10) == b"test_read\0"


@pytest.mark.parametrize(
    ("version", "cipher_type"), [(200, 51), (TLS12, 50), (TLS12, 59), (TLS12, 10), (TLS12, 70)]
)
def test_an_unknown_version_or_cipher_is_refused(
    tls_basic: KtlsEnds, version: int, cipher_type: int
) -> None:
    """tls_basic.bad_cipher. S1.4-5, S1.4-7."""
    with fails(errno.EINVAL):
        tls_basic.sender.setsockopt(
            SOL_TLS, TLS_TX, struct.pack("=HH", version, cipher_type) + bytes(36)
        )


def test_a_send_under_the_last_number_fails(tls_basic: KtlsEnds) -> None:
    """tls_basic.recseq_wrap. S2.3-1."""
    last = filled(AES_GCM_128, 0, TLS12).at((1 << 64) - 1)
    install(tls_basic.sender, TLS_TX, last)
    install(tls_basic.receiver, TLS_RX, last)
    with fails(errno.EBADMSG):
        tls_basic.sender.send(b"test_read\0")


def test_a_receiver_rekeys_before_any_record(tls_basic: KtlsEnds) -> None:
    """tls_basic.rekey_rx. S1.4-10, S1.4-11, K-16."""
    tls_basic.sender.setsockopt(SOL_TLS, TLS_TX, key(1))
    tls_basic.receiver.setsockopt(SOL_TLS, TLS_RX, key(0))
    tls_basic.receiver.setsockopt(SOL_TLS, TLS_RX, key(1))
    assert tls_basic.sender.send(MESSAGE) == len(MESSAGE)
    assert tls_basic.receiver.recv(len(MESSAGE)) == MESSAGE
    assert rekey_counters(tls_basic) == [0, 0, 1, 0, 0, 0]


def test_a_sender_rekeys_before_any_record(tls_basic: KtlsEnds) -> None:
    """tls_basic.rekey_tx. S1.4-10, S1.4-11, K-23."""
    tls_basic.sender.setsockopt(SOL_TLS, TLS_TX, key(0))
    tls_basic.receiver.setsockopt(SOL_TLS, TLS_RX, key(1))
    tls_basic.sender.setsockopt(SOL_TLS, TLS_TX, key(1))
    assert tls_basic.sender.send(MESSAGE) == len(MESSAGE)
    assert tls_basic.receiver.recv(len(MESSAGE)) == MESSAGE
    assert rekey_counters(tls_basic) == [1, 0, 0, 0, 0, 0]


def test_a_socket_cannot_be_disconnected_and_early_records_are_read(tls_basic: KtlsEnds) -> None:
    """tls_basic.disconnect, except connect(AF_UNSPEC), for which Python has no call. S1.4-12."""
    tls_basic.sender.setsockopt(SOL_TLS, TLS_TX, key(0))
    assert tls_basic.sender.send(MESSAGE) == len(MESSAGE)
    tls_basic.receiver.setsockopt(SOL_TLS, TLS_RX, key(0))
    with fails(errno.EISCONN):
        tls_basic.receiver.connect(tls_basic.receiver.getpeername())
    assert tls_basic.receiver.recv(len(MESSAGE)) == MESSAGE
