"""The rekey cases of the kernel's own selftest, call by call (spec 7.1, 7.3)."""

import errno

import pytest

from tests.ktls_ends import (
    DONTWAIT,
    PEEK,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    Ends,
    Pair,
    attached,
    fails,
    install,
    receive,
    send_typed,
)
from tests.reference import (
    AES_GCM_128,
    AES_GCM_256,
    CHACHA20_POLY1305,
    HANDSHAKE,
    TLS12,
    TLS13,
    Cipher,
    TrafficKey,
)

BEFORE = b"test_message_before_rekey\0"
AFTER = b"test_message_after_rekey\0"
SIX_BYTES = b"\x18\0\0\1\0\0"
VARIANTS = [AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305]


def filled(cipher: Cipher, generation: int, version: int = TLS13) -> TrafficKey:
    """The selftest's key of a generation: every byte is its number, those of rec_seq too."""
    fill = bytes([generation])
    key, iv, salt = fill * cipher.key_size, fill * cipher.iv_size, fill * cipher.salt_size
    return TrafficKey(version, cipher, key, iv, salt, int.from_bytes(fill * 8, "big"))


@pytest.fixture(params=VARIANTS, ids=lambda cipher: cipher.name)
def variant(request: pytest.FixtureRequest) -> Cipher:
    cipher: Cipher = request.param
    return cipher


def start(pair: Pair, cipher: Cipher, version: int = TLS13) -> Ends:
    """The fixture of the selftest: TLS_TX on one end, TLS_RX on the other, generation 0."""
    ends = attached(pair)
    install(ends.sender, TLS_TX, filled(cipher, 0, version))
    install(ends.receiver, TLS_RX, filled(cipher, 0, version))
    return ends


def read_key_update(ends: Ends) -> None:
    """Steps 5 to 8 of the case "rekey"."""
    with fails(errno.EIO):
        ends.receiver.recv(25)
    assert receive(ends.receiver, 100) == (SIX_BYTES, HANDSHAKE)
    for flags in (0, DONTWAIT):
        with fails(errno.EKEYEXPIRED):
            ends.receiver.recv(100, flags)


def test_rekey(tcp_pair: Pair, variant: Cipher) -> None:
    ends = start(tcp_pair, variant)
    ends.sender.send(BEFORE)
    assert ends.receiver.recv(len(BEFORE)) == BEFORE
    send_typed(ends.sender, SIX_BYTES, HANDSHAKE)
    install(ends.sender, TLS_TX, filled(variant, 1))
    ends.sender.send(AFTER)
    read_key_update(ends)
    install(ends.receiver, TLS_RX, filled(variant, 1))
    assert ends.receiver.recv(len(AFTER)) == AFTER
    counters = ("TlsTxRekeyOk", "TlsRxRekeyOk", "TlsRxRekeyReceived", "TlsDecryptError")
    assert [ends.counted(name) for name in counters] == [1, 1, 1, 0]


def test_rekey_fail(tcp_pair: Pair, variant: Cipher) -> None:
    ends = start(tcp_pair, variant)
    ends.sender.send(BEFORE)
    assert ends.receiver.recv(len(BEFORE)) == BEFORE
    send_typed(ends.sender, SIX_BYTES, HANDSHAKE)
    install(ends.sender, TLS_TX, filled(variant, 1))
    other = CHACHA20_POLY1305 if variant is AES_GCM_256 else AES_GCM_256
    for end, direction, key in (
        (ends.sender, TLS_TX, filled(variant, 1, TLS12)),
        (ends.receiver, TLS_RX, filled(variant, 1, TLS12)),
        (ends.sender, TLS_TX, filled(other, 1)),
    ):
        with fails(errno.EINVAL):
            install(end, direction, key)
    ends.sender.send(AFTER)
    read_key_update(ends)
    install(ends.receiver, TLS_RX, filled(variant, 1))
    assert ends.receiver.recv(len(AFTER)) == AFTER
    counters = ("TlsTxRekeyOk", "TlsTxRekeyError", "TlsRxRekeyOk", "TlsRxRekeyError")
    assert [ends.counted(name) for name in counters] == [1, 2, 1, 1]


def test_rekey_fail_in_tls12(tcp_pair: Pair, variant: Cipher) -> None:
    ends = start(tcp_pair, variant, TLS12)
    send_typed(ends.sender, SIX_BYTES, HANDSHAKE)
    with fails(errno.EBUSY):
        install(ends.sender, TLS_TX, filled(variant, 1, TLS12))
    assert ends.counted("TlsTxRekeyError") == 1


def test_rekey_peek(tcp_pair: Pair, variant: Cipher) -> None:
    ends = start(tcp_pair, variant)
    ends.sender.send(BEFORE)
    send_typed(ends.sender, SIX_BYTES, HANDSHAKE)
    install(ends.sender, TLS_TX, filled(variant, 1))
    assert ends.receiver.recv(100, PEEK) == BEFORE
    assert ends.receiver.recv(len(BEFORE)) == BEFORE
    with fails(errno.EIO):
        ends.receiver.recv(100, PEEK)
    assert receive(ends.receiver, flags=PEEK) == (SIX_BYTES, HANDSHAKE)
    assert receive(ends.receiver) == (SIX_BYTES, HANDSHAKE)
    install(ends.receiver, TLS_RX, filled(variant, 1))


def test_rekey_getsockopt(tcp_pair: Pair, variant: Cipher) -> None:
    ends = start(tcp_pair, variant)
    size = variant.struct_size
    for generation in (0, 1):
        key = filled(variant, generation)
        if generation:
            send_typed(ends.sender, SIX_BYTES, HANDSHAKE)
            install(ends.sender, TLS_TX, key)
            assert receive(ends.receiver) == (SIX_BYTES, HANDSHAKE)
            install(ends.receiver, TLS_RX, key)
        assert ends.sender.getsockopt(SOL_TLS, TLS_TX, size) == key.struct()
        assert ends.receiver.getsockopt(SOL_TLS, TLS_RX, size) == key.struct()


@pytest.mark.parametrize("rekeyed", [TLS_TX, TLS_RX])
def test_rekey_before_any_record(tcp_pair: Pair, variant: Cipher, rekeyed: int) -> None:
    """S1.4-10, S1.4-11."""
    ends = attached(tcp_pair)
    first = {TLS_TX: 1, TLS_RX: 1, rekeyed: 0}
    install(ends.sender, TLS_TX, filled(variant, first[TLS_TX]))
    install(ends.receiver, TLS_RX, filled(variant, first[TLS_RX]))
    install(ends.sender if rekeyed == TLS_TX else ends.receiver, rekeyed, filled(variant, 1))
    ends.sender.send(b"test_message\0")
    assert ends.receiver.recv(13) == b"test_message\0"


def test_recseq_wrap(tcp_pair: Pair) -> None:
    """S2.3-1."""
    ends = attached(tcp_pair)
    key = filled(AES_GCM_128, 0, TLS12).at((1 << 64) - 1)
    install(ends.sender, TLS_TX, key)
    install(ends.receiver, TLS_RX, key)
    with fails(errno.EBADMSG):
        ends.sender.send(b"0123456789")
