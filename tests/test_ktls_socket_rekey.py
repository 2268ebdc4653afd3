"""The next keys of KtlsSocket: ``docs/kernel-rules.md``, K-16 to K-27."""

import errno
import socket

import pytest

from ktls_fast import CryptoInfo
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    MORE,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    ends_over,
    fails,
    generation,
    install,
    receive,
)
from tests.reference import (
    AES_GCM_256,
    HANDSHAKE,
    TLS12,
    TLS13,
    traffic_key,
)

EXPIRED = errno.EKEYEXPIRED


def test_k16_new_key_needs_no_key_update(ends: KtlsEnds) -> None:
    ends.rekey_receiver(1)
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"
    assert ends.counted("TlsRxRekeyReceived") == 0


def test_k16_key_update_may_still_be_unread(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    ends.send_key_update()
    assert ends.receiver.recv(100) == b"data"
    ends.rekey_receiver(1)
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)


def test_k17_the_record_number_is_the_given_one(ends: KtlsEnds) -> None:
    ends.pause()
    key = generation(1).at(0x0101010101010101)
    install(ends.sender, TLS_TX, key)
    install(ends.receiver, TLS_RX, key)
    assert ends.receiver.getsockopt(SOL_TLS, TLS_RX, 40) == key.struct()
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"


def test_k18_opened_data_survives_the_rekey(ends: KtlsEnds) -> None:
    ends.sender.send(b"abcdef")
    assert ends.receiver.recv(2) == b"ab"
    ends.rekey_receiver(1)
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"cdefnew"


def test_k18_unopened_record_is_tried_with_the_new_key(ends: KtlsEnds) -> None:
    ends.sender.send(b"old")
    ends.rekey_receiver(1)
    with fails(errno.EBADMSG):
        ends.receiver.recv(100)


def test_k19_rekey_counts_once_and_gauges_stay(ends: KtlsEnds) -> None:
    """S6.1-3, R-SW-4."""
    ends.pause()
    ends.rekey_receiver(1)
    ends.rekey_sender(1)
    moved = ("TlsRxRekeyOk", "TlsTxRekeyOk", "TlsRxSw", "TlsTxSw", "TlsCurrRxSw", "TlsCurrTxSw")
    assert [ends.counted(name) for name in moved] == [1, 1, 0, 0, 0, 0]


REFUSED = {
    "version": generation(1, TLS12).struct(),
    "cipher": traffic_key(TLS13, AES_GCM_256).struct(),
    "too short": generation(1).struct()[:-1],
    "too long": generation(1).struct() + b"\0",
    "head only": generation(1).struct()[:4],
}


@pytest.mark.parametrize("direction", [TLS_TX, TLS_RX])
@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_k20_k23_refused_rekey_changes_nothing(
    ends: KtlsEnds, direction: int, value: bytes
) -> None:
    """S1.4-4, S1.4-8."""
    ends.pause()
    end = ends.sender if direction == TLS_TX else ends.receiver
    before = end.getsockopt(SOL_TLS, direction, 40)
    with fails(errno.EINVAL):
        end.setsockopt(SOL_TLS, direction, value)
    assert ends.counted("TlsTxRekeyError") + ends.counted("TlsRxRekeyError") == 1
    assert end.getsockopt(SOL_TLS, direction, 40) == before
    with fails(EXPIRED):
        ends.receiver.recv(1)
    ends.rekey_sender(1)
    ends.rekey_receiver(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"


@pytest.mark.parametrize("value", [b"", b"\4\3\x33"])
def test_k20_value_without_a_head_is_not_counted(ends: KtlsEnds, value: bytes) -> None:
    with fails(errno.EINVAL):
        ends.receiver.setsockopt(SOL_TLS, TLS_RX, value)
    assert ends.counted("TlsRxRekeyError") == 0


def test_k21_the_right_key_opens_a_record_that_failed_before(ends: KtlsEnds) -> None:
    ends.pause()
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    ends.rekey_receiver(2)
    with fails(errno.EBADMSG):
        ends.receiver.recv(100)
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"
    with fails(errno.EBADMSG):
        ends.receiver.recv(100, DONTWAIT)
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(100, DONTWAIT)


def test_k22_options_survive(ends: KtlsEnds) -> None:
    ends.receiver.setsockopt(SOL_TLS, 4, 1)
    ends.sender.setsockopt(SOL_TLS, 5, (100).to_bytes(2, "little"))
    ends.rekey_sender(1)
    ends.rekey_receiver(1)
    assert ends.receiver.getsockopt(SOL_TLS, 4) == 1
    assert ends.sender.getsockopt(SOL_TLS, 5) == 100


def test_k23_sender_rekeys_without_a_key_update(ends: KtlsEnds) -> None:
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"
    assert ends.counted("TlsTxRekeyOk") == 1


def test_k24_open_record_goes_out_under_the_new_key(ends: KtlsEnds) -> None:
    ends.sender.send(b"open", MORE)
    ends.rekey_sender(1)
    ends.sender.send(b"+")
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"open+"


def test_k24_key_update_flushes_an_open_record_under_the_old_key(ends: KtlsEnds) -> None:
    ends.sender.send(b"open", MORE)
    ends.send_key_update()
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"open"
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"


def test_k25_sealed_and_unsent_records_keep_the_old_key(tcp_pair: MakePair) -> None:
    ends = ends_over(tcp_pair)
    sent = ends.fill(bytes(16384))
    ends.rekey_sender(1)
    received = bytearray(sent)
    assert ends.receiver.recv_into(received, 0, socket.MSG_WAITALL) == sent
    ends.rekey_receiver(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"


def test_k26_send_between_key_update_and_new_key_is_under_the_old(ends: KtlsEnds) -> None:
    ends.send_key_update()
    ends.sender.send(b"late")
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    install(ends.receiver, TLS_RX, generation(0).at(1))
    assert ends.receiver.recv(100) == b"late"


@pytest.mark.parametrize("direction", [TLS_TX, TLS_RX])
def test_k27_getsockopt_returns_the_new_key(ends: KtlsEnds, direction: int) -> None:
    end = ends.sender if direction == TLS_TX else ends.receiver
    end.setsockopt(SOL_TLS, direction, CryptoInfo.from_bytes(generation(1).at(7).struct()))
    assert end.getsockopt(SOL_TLS, direction, 40) == generation(1).at(7).struct()
    assert end.getsockopt(SOL_TLS, direction, 4) == generation(1).struct()[:4]
