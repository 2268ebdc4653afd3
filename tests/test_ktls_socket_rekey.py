"""KeyUpdate and rekey of KtlsSocket: spec 4, rules K-1 to K-27."""

import errno
import socket

import pytest

from ktls_fast import CryptoInfo, KeyExpiredError
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    MORE,
    PEEK,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    Ends,
    Pair,
    ends_over,
    fails,
    generation,
    install,
    raw_over,
    receive,
    send_typed,
    settled_stat,
)
from tests.reference import (
    AES_GCM_256,
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    TLS12,
    TLS13,
    traffic_key,
)

EXPIRED = errno.EKEYEXPIRED
TICKET = bytes([4, 0, 0, 2, 0xAB, 0xCD])


@pytest.fixture
def ends(tcp_pair: Pair) -> Ends:
    return ends_over(tcp_pair)


@pytest.mark.parametrize(
    "message",
    [KEY_UPDATE, KEY_UPDATE + b"\0", b"\x18", b"\x18\xff", b"\x18" * 4000],
    ids=["proper", "selftest", "one byte", "bad length", "4000 bytes"],
)
def test_k1_k2_first_byte_24_of_a_handshake_record_pauses(ends: Ends, message: bytes) -> None:
    send_typed(ends.sender, message, HANDSHAKE)
    assert receive(ends.receiver, 5000) == (message, HANDSHAKE)
    assert ends.counted("TlsRxRekeyReceived") == 1
    with pytest.raises(KeyExpiredError):
        ends.receiver.recv(1, DONTWAIT)


@pytest.mark.parametrize("record_type", [APPLICATION_DATA, ALERT, 24])
def test_k1_other_types_do_not_pause(ends: Ends, record_type: int) -> None:
    send_typed(ends.sender, KEY_UPDATE, record_type)
    assert receive(ends.receiver) == (KEY_UPDATE, record_type)
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1, DONTWAIT)


def test_k3_tls12_pauses_for_ever(tcp_pair: Pair) -> None:
    ends = ends_over(tcp_pair, TLS12)
    ends.pause()
    with fails(errno.EBUSY):
        install(ends.receiver, TLS_RX, generation(1, TLS12))
    with fails(EXPIRED):
        ends.receiver.recv(1)
    assert ends.counted("TlsRxRekeyError") == 1


def test_k4_empty_handshake_record_is_nothing(tcp_pair: Pair) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.send(generation(0).seal(b"", HANDSHAKE))
    assert receive(receiver) == (b"", HANDSHAKE)
    with pytest.raises(BlockingIOError):
        receiver.recv(1, DONTWAIT)


def test_k5_coalesced_key_update_goes_unnoticed(ends: Ends) -> None:
    send_typed(ends.sender, TICKET + KEY_UPDATE, HANDSHAKE)
    assert receive(ends.receiver) == (TICKET + KEY_UPDATE, HANDSHAKE)
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    with fails(errno.EBADMSG):
        ends.receiver.recv(100, DONTWAIT)
    assert ends.counted("TlsRxRekeyReceived") == 0


def test_k6_split_key_update_blocks_its_own_rest(ends: Ends) -> None:
    send_typed(ends.sender, KEY_UPDATE[:1], HANDSHAKE)
    send_typed(ends.sender, KEY_UPDATE[1:], HANDSHAKE)
    assert receive(ends.receiver) == (KEY_UPDATE[:1], HANDSHAKE)
    with fails(EXPIRED):
        receive(ends.receiver)
    ends.rekey_receiver(1)
    with fails(errno.EBADMSG):
        receive(ends.receiver)
    install(ends.receiver, TLS_RX, generation(0).at(1))
    assert receive(ends.receiver) == (KEY_UPDATE[1:], HANDSHAKE)


def test_k7_k8_continuation_that_starts_with_24_pauses(ends: Ends) -> None:
    message = bytes([11, 0, 64, 1]) + bytes(16384 - 4) + b"\x18tail"
    send_typed(ends.sender, message, HANDSHAKE)
    assert receive(ends.receiver, 20000) == (message[:16384], HANDSHAKE)
    assert receive(ends.receiver) == (b"\x18tail", HANDSHAKE)
    with fails(EXPIRED):
        ends.receiver.recv(1)


def test_k9_records_wait_sealed_while_paused(ends: Ends) -> None:
    ends.pause()
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    for _ in range(3):
        with fails(EXPIRED):
            ends.receiver.recv(100)
    assert ends.counted("TlsDecryptError") == 0
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"


def test_k10_k15_data_before_the_key_update_comes_first(ends: Ends) -> None:
    ends.sender.send(b"data")
    ends.send_key_update()
    assert receive(ends.receiver) == (b"data", APPLICATION_DATA)
    assert ends.counted("TlsRxRekeyReceived") == 1
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    with fails(EXPIRED):
        receive(ends.receiver)


def test_k15_peek_returns_the_data_and_arms_the_pause(ends: Ends) -> None:
    ends.sender.send(b"data")
    ends.send_key_update()
    for _ in range(2):
        assert receive(ends.receiver, flags=PEEK) == (b"data", APPLICATION_DATA)
        assert ends.counted("TlsRxRekeyReceived") == 1
    assert ends.receiver.recv(100) == b"data"


@pytest.mark.parametrize("flags", [0, DONTWAIT, PEEK, socket.MSG_WAITALL])
def test_k11_every_receive_fails_at_once_while_paused(ends: Ends, flags: int) -> None:
    ends.pause()
    buffer = bytearray(10)
    for call in (
        lambda: ends.receiver.recv(10, flags),
        lambda: ends.receiver.recvmsg(10, 64, flags),
        lambda: ends.receiver.recv_into(buffer, 0, flags),
        lambda: ends.receiver.recvmsg_into([buffer], 64, flags),
    ):
        with fails(EXPIRED):
            call()
    assert ends.receiver.recv(0, flags) == b""


def test_k11_pause_comes_ahead_of_the_end(ends: Ends) -> None:
    ends.pause()
    ends.sender.close()
    with fails(EXPIRED):
        ends.receiver.recv(1)
    ends.rekey_receiver(1)
    assert ends.receiver.recv(1) == b""


def test_k12_sending_knows_no_pause(tcp_pair: Pair) -> None:
    ends = ends_over(tcp_pair)
    install(ends.receiver, TLS_TX, generation(5))
    install(ends.sender, TLS_RX, generation(5))
    ends.pause()
    assert ends.receiver.send(b"still") == 5
    assert ends.sender.recv(10) == b"still"


def test_k13_poll_hides_even_the_unread_key_update(ends: Ends) -> None:
    ends.send_key_update()
    assert ends.receiver._ready(1) == 1  # type: ignore[attr-defined]
    with fails(errno.EIO):
        ends.receiver.recv(100)
    assert ends.receiver._ready(1) == 0  # type: ignore[attr-defined]
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    ends.sender.close()
    assert ends.receiver._ready(1) == 1  # type: ignore[attr-defined]


def test_k14_without_control_room_the_key_update_stays(ends: Ends) -> None:
    ends.send_key_update()
    for _ in range(2):
        with fails(errno.EIO):
            ends.receiver.recv(100)
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    with fails(EXPIRED):
        ends.receiver.recv(100)


def test_k16_new_key_needs_no_key_update(ends: Ends) -> None:
    ends.rekey_receiver(1)
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"
    assert ends.counted("TlsRxRekeyReceived") == 0


def test_k16_key_update_may_still_be_unread(ends: Ends) -> None:
    ends.sender.send(b"data")
    ends.send_key_update()
    assert ends.receiver.recv(100) == b"data"
    ends.rekey_receiver(1)
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)


def test_k17_number_is_the_given_one(ends: Ends) -> None:
    ends.pause()
    key = generation(1).at(0x0101010101010101)
    install(ends.sender, TLS_TX, key)
    install(ends.receiver, TLS_RX, key)
    assert ends.receiver.getsockopt(SOL_TLS, TLS_RX, 40) == key.struct()
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"


def test_k18_opened_data_survives_the_rekey(ends: Ends) -> None:
    ends.sender.send(b"abcdef")
    assert ends.receiver.recv(2) == b"ab"
    ends.rekey_receiver(1)
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"cdefnew"


def test_k18_unopened_record_is_tried_with_the_new_key(ends: Ends) -> None:
    ends.sender.send(b"old")
    ends.rekey_receiver(1)
    with fails(errno.EBADMSG):
        ends.receiver.recv(100)


def test_k19_rekey_counts_once_and_gauges_stay(ends: Ends) -> None:
    ends.before = settled_stat()
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
def test_k20_k23_refused_rekey_changes_nothing(ends: Ends, direction: int, value: bytes) -> None:
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
def test_k20_value_without_a_head_is_not_counted(ends: Ends, value: bytes) -> None:
    with fails(errno.EINVAL):
        ends.receiver.setsockopt(SOL_TLS, TLS_RX, value)
    assert ends.counted("TlsRxRekeyError") == 0


def test_k21_right_key_saves_a_record_that_did_not_open(ends: Ends) -> None:
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


def test_k22_options_survive(ends: Ends) -> None:
    ends.receiver.setsockopt(SOL_TLS, 4, 1)
    ends.sender.setsockopt(SOL_TLS, 5, (100).to_bytes(2, "little"))
    ends.rekey_sender(1)
    ends.rekey_receiver(1)
    assert ends.receiver.getsockopt(SOL_TLS, 4) == 1
    assert ends.sender.getsockopt(SOL_TLS, 5) == 100


def test_k23_sender_rekeys_without_a_key_update(ends: Ends) -> None:
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"
    assert ends.counted("TlsTxRekeyOk") == 1


def test_k24_open_record_goes_out_under_the_new_key(ends: Ends) -> None:
    ends.sender.send(b"open", MORE)
    ends.rekey_sender(1)
    ends.sender.send(b"+")
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"open+"


def test_k24_key_update_flushes_an_open_record_under_the_old_key(ends: Ends) -> None:
    ends.sender.send(b"open", MORE)
    ends.send_key_update()
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"open"
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"


def test_k25_sealed_and_unsent_records_keep_the_old_key(tcp_pair: Pair) -> None:
    ends = ends_over(tcp_pair)
    sent = ends.fill(bytes(16384))
    ends.rekey_sender(1)
    received = bytearray(sent)
    assert ends.receiver.recv_into(received, 0, socket.MSG_WAITALL) == sent
    ends.rekey_receiver(1)
    ends.sender.send(b"new")
    assert ends.receiver.recv(100) == b"new"


def test_k26_send_between_key_update_and_new_key_is_under_the_old(ends: Ends) -> None:
    ends.send_key_update()
    ends.sender.send(b"late")
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    install(ends.receiver, TLS_RX, generation(0).at(1))
    assert ends.receiver.recv(100) == b"late"


@pytest.mark.parametrize("direction", [TLS_TX, TLS_RX])
def test_k27_getsockopt_tells_the_new_key(ends: Ends, direction: int) -> None:
    end = ends.sender if direction == TLS_TX else ends.receiver
    end.setsockopt(SOL_TLS, direction, CryptoInfo.from_bytes(generation(1).at(7).struct()))
    assert end.getsockopt(SOL_TLS, direction, 40) == generation(1).at(7).struct()
    assert end.getsockopt(SOL_TLS, direction, 4) == generation(1).struct()[:4]
