"""A KeyUpdate that KtlsSocket receives: ``docs/kernel-rules.md``, K-1 to K-15."""

import errno
import socket
from select import POLLIN

import pytest

from ktls_fast import KeyExpiredError
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    PEEK,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    ends_over,
    fails,
    generation,
    install,
    raw_over,
    receive,
    send_typed,
)
from tests.reference import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    TLS12,
)

EXPIRED = errno.EKEYEXPIRED
TICKET = bytes([4, 0, 0, 2, 0xAB, 0xCD])


@pytest.mark.parametrize(
    "message",
    [KEY_UPDATE, KEY_UPDATE + b"\0", b"\x18", b"\x18\xff", b"\x18" * 4000],
    ids=["proper", "selftest", "one byte", "bad length", "4000 bytes"],
)
def test_k1_k2_first_byte_24_of_a_handshake_record_pauses(ends: KtlsEnds, message: bytes) -> None:
    send_typed(ends.sender, message, HANDSHAKE)
    assert receive(ends.receiver, 5000) == (message, HANDSHAKE)
    assert ends.counted("TlsRxRekeyReceived") == 1
    with pytest.raises(KeyExpiredError):
        ends.receiver.recv(1, DONTWAIT)


@pytest.mark.parametrize("record_type", [APPLICATION_DATA, ALERT, 24])
def test_k1_other_types_do_not_pause(ends: KtlsEnds, record_type: int) -> None:
    send_typed(ends.sender, KEY_UPDATE, record_type)
    assert receive(ends.receiver) == (KEY_UPDATE, record_type)
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1, DONTWAIT)


def test_k3_tls12_pauses_forever(tcp_pair: MakePair) -> None:
    ends = ends_over(tcp_pair, TLS12)
    ends.pause()
    with fails(errno.EBUSY):
        install(ends.receiver, TLS_RX, generation(1, TLS12))
    with fails(EXPIRED):
        ends.receiver.recv(1)
    assert ends.counted("TlsRxRekeyError") == 1


def test_k4_an_empty_handshake_record_does_not_pause(tcp_pair: MakePair) -> None:
    raw, receiver = raw_over(tcp_pair)
    raw.send(generation(0).seal(b"", HANDSHAKE))
    assert receive(receiver) == (b"", HANDSHAKE)
    with pytest.raises(BlockingIOError):
        receiver.recv(1, DONTWAIT)


def test_k5_coalesced_key_update_goes_unnoticed(ends: KtlsEnds) -> None:
    """K-8."""
    send_typed(ends.sender, TICKET + KEY_UPDATE, HANDSHAKE)
    assert receive(ends.receiver) == (TICKET + KEY_UPDATE, HANDSHAKE)
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    with fails(errno.EBADMSG):
        ends.receiver.recv(100, DONTWAIT)
    assert ends.counted("TlsRxRekeyReceived") == 0


def test_k6_split_key_update_blocks_its_own_rest(ends: KtlsEnds) -> None:
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


def test_k7_k8_continuation_that_starts_with_24_pauses(ends: KtlsEnds) -> None:
    message = bytes([11, 0, 64, 1]) + bytes(16384 - 4) + b"\x18tail"
    send_typed(ends.sender, message, HANDSHAKE)
    assert receive(ends.receiver, 20000) == (message[:16384], HANDSHAKE)
    assert receive(ends.receiver) == (b"\x18tail", HANDSHAKE)
    with fails(EXPIRED):
        ends.receiver.recv(1)


def test_k9_records_wait_sealed_while_paused(ends: KtlsEnds) -> None:
    """R-SW-1."""
    ends.pause()
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    for _ in range(3):
        with fails(EXPIRED):
            ends.receiver.recv(100)
    assert ends.counted("TlsDecryptError") == 0
    ends.rekey_receiver(1)
    assert ends.receiver.recv(100) == b"new"


def test_k10_k15_data_before_the_key_update_comes_first(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    ends.send_key_update()
    assert receive(ends.receiver) == (b"data", APPLICATION_DATA)
    assert ends.counted("TlsRxRekeyReceived") == 1
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    with fails(EXPIRED):
        receive(ends.receiver)


def test_k15_peek_returns_the_data_and_arms_the_pause(ends: KtlsEnds) -> None:
    ends.sender.send(b"data")
    ends.send_key_update()
    for _ in range(2):
        assert receive(ends.receiver, flags=PEEK) == (b"data", APPLICATION_DATA)
        assert ends.counted("TlsRxRekeyReceived") == 1
    assert ends.receiver.recv(100) == b"data"


@pytest.mark.parametrize("flags", [0, DONTWAIT, PEEK, socket.MSG_WAITALL])
def test_k11_every_receive_fails_at_once_while_paused(ends: KtlsEnds, flags: int) -> None:
    """R-SW-2, S3.3-9."""
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


def test_k11_a_pause_precedes_the_end_of_the_stream(ends: KtlsEnds) -> None:
    """S3.4-1."""
    ends.pause()
    ends.sender.close()
    with fails(EXPIRED):
        ends.receiver.recv(1)
    ends.rekey_receiver(1)
    assert ends.receiver.recv(1) == b""


def test_k12_a_pause_does_not_affect_sending(tcp_pair: MakePair) -> None:
    ends = ends_over(tcp_pair)
    install(ends.receiver, TLS_TX, generation(5))
    install(ends.sender, TLS_RX, generation(5))
    ends.pause()
    assert ends.receiver.send(b"still") == 5
    assert ends.sender.recv(10) == b"still"


def test_k13_poll_hides_even_the_unread_key_update(ends: KtlsEnds) -> None:
    ends.send_key_update()
    assert ends.receiver.poll(POLLIN, 0) == POLLIN
    with fails(errno.EIO):
        ends.receiver.recv(100)
    assert ends.receiver.poll(POLLIN, 0) == 0
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    ends.sender.close()
    assert ends.receiver.poll(POLLIN, 0) == POLLIN


def test_k14_without_control_room_the_key_update_stays(ends: KtlsEnds) -> None:
    """R-SW-3."""
    ends.send_key_update()
    for _ in range(2):
        with fails(errno.EIO):
            ends.receiver.recv(100)
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    with fails(EXPIRED):
        ends.receiver.recv(100)
