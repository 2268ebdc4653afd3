"""Fixture "tls": the next keys, and their counters in /proc/net/tls_stat."""

import errno
import os
from select import POLLIN

from ktls_fast._tools.conformance.blocked import blocked
from tests.ktls_ends import (
    DONTWAIT,
    PEEK,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    fails,
    install,
    receive,
)
from tests.ktls_pipe import PipeEnds
from tests.reference import AES_GCM_256, CHACHA20_POLY1305, HANDSHAKE, TLS12, TLS13, pattern
from tests.selftest.ends import SIX_BYTES, TlsEnds, filled, rekey_counters

BEFORE = b"test_message_before_rekey\0"
AFTER = b"test_message_after_rekey\0"
FIVE_SECONDS = 5.0


def exchange_first(ends: TlsEnds) -> None:
    assert ends.sender.send(BEFORE) == 26
    assert ends.receiver.recv(26) == BEFORE


def update_sender(ends: TlsEnds) -> None:
    ends.send_key_update()
    ends.rekey_sender(1)


def read_over_the_key_update(ends: TlsEnds) -> None:
    """Perform steps 5 to 10 of the case "rekey"."""
    with fails(errno.EIO):
        ends.receiver.recv(25)
    assert receive(ends.receiver, 100, 0) == (SIX_BYTES, HANDSHAKE)
    for flags in (0, DONTWAIT):
        with fails(errno.EKEYEXPIRED):
            ends.receiver.recv(100, flags)
    ends.rekey_receiver(1)
    assert ends.receiver.recv(25) == AFTER


def test_both_ends_change_to_the_next_key(tls13: TlsEnds) -> None:
    """tls.rekey. K-1, K-11, K-14, K-17, K-19, R-SW-2, R-SW-3, R-SW-4."""
    exchange_first(tls13)
    update_sender(tls13)
    assert tls13.sender.send(AFTER) == 25
    read_over_the_key_update(tls13)
    assert rekey_counters(tls13) == [1, 0, 1, 0, 1, 0]


def test_refused_keys_do_not_replace_the_current_ones(tls: TlsEnds) -> None:
    """tls.rekey_fail. K-20, S1.4-3, S1.4-4."""
    exchange_first(tls)
    tls.send_key_update()
    if tls.variant.version == TLS12:
        with fails(errno.EBUSY):
            tls.rekey_sender(1)
        assert rekey_counters(tls) == [0, 1, 0, 0, 0, 0]
        return
    tls.rekey_sender(1)
    cipher = tls.variant.cipher
    other = CHACHA20_POLY1305 if cipher is AES_GCM_256 else AES_GCM_256
    for end, direction, key in (
        (tls.sender, TLS_TX, filled(cipher, 1, TLS12)),
        (tls.receiver, TLS_RX, filled(cipher, 1, TLS12)),
        (tls.sender, TLS_TX, filled(other, 1)),
    ):
        with fails(errno.EINVAL):
            install(end, direction, key)
    assert tls.sender.send(AFTER) == 25
    read_over_the_key_update(tls)
    assert rekey_counters(tls) == [1, 2, 1, 1, 1, 0]


def test_a_key_update_is_peeked_at(tls13: TlsEnds) -> None:
    """tls.rekey_peek. K-10, K-14, K-15."""
    assert tls13.sender.send(BEFORE) == 26
    update_sender(tls13)
    assert tls13.receiver.recv(100, PEEK) == BEFORE
    assert tls13.receiver.recv(26) == BEFORE
    with fails(errno.EIO):
        tls13.receiver.recv(100, PEEK)
    for flags in (PEEK, 0):
        assert receive(tls13.receiver, 100, flags) == (SIX_BYTES, HANDSHAKE)
    tls13.rekey_receiver(1)
    assert rekey_counters(tls13) == [1, 0, 1, 0, 1, 0]


def test_splice_stops_at_the_key_update(tls13: TlsEnds, pipe: PipeEnds) -> None:
    """tls.splice_rekey. S3.7-1, S3.7-2, S3.7-3."""
    content = pattern(16384)
    assert tls13.sender.send(content[:8192]) == 8192
    update_sender(tls13)
    assert tls13.sender.send(content[8192:]) == 8192
    assert tls13.receiver.splice_to(pipe.into, 16384) == 8192
    assert os.read(pipe.out, 16384) == content[:8192]
    with fails(errno.EINVAL):
        tls13.receiver.splice_to(pipe.into, 16384)
    for flags in (PEEK, 0):
        assert receive(tls13.receiver, 100, flags) == (SIX_BYTES, HANDSHAKE)
    with fails(errno.EKEYEXPIRED):
        tls13.receiver.splice_to(pipe.into, 16384)
    tls13.rekey_receiver(1)
    assert tls13.receiver.splice_to(pipe.into, 16384) == 8192
    assert os.read(pipe.out, 16384) == content[8192:]
    assert rekey_counters(tls13) == [1, 0, 1, 0, 1, 0]


def test_a_pause_does_not_keep_peeked_data_from_a_pipe(tls13: TlsEnds, pipe: PipeEnds) -> None:
    """tls.rekey_peek_splice. K-10, K-15."""
    assert tls13.sender.send(BEFORE) == 26
    update_sender(tls13)
    assert tls13.receiver.recv(100, PEEK) == BEFORE
    assert tls13.receiver.splice_to(pipe.into, 16384) == 26
    assert os.read(pipe.out, 100) == BEFORE
    assert rekey_counters(tls13) == [1, 0, 0, 0, 1, 0]


def tell_keys(ends: TlsEnds) -> list[int | bytes]:
    size = ends.variant.cipher.struct_size
    return [
        ends.sender.getsockopt(SOL_TLS, TLS_TX, size),
        ends.receiver.getsockopt(SOL_TLS, TLS_RX, size),
    ]


def test_getsockopt_returns_the_key_of_the_generation(tls: TlsEnds) -> None:
    """tls.rekey_getsockopt. K-27, S1.5-2."""
    assert tell_keys(tls) == [tls.variant.key(0).struct()] * 2
    if tls.variant.version == TLS13:
        update_sender(tls)
        assert receive(tls.receiver) == (SIX_BYTES, HANDSHAKE)
        tls.rekey_receiver(1)
        assert tell_keys(tls) == [tls.variant.key(1).struct()] * 2
        assert rekey_counters(tls) == [1, 0, 1, 0, 1, 0]


def test_the_rekey_wakes_a_poll_if_a_record_is_waiting(tls13: TlsEnds) -> None:
    """tls.rekey_poll_pending, with a thread that polls in place of a process. K-13, K-19."""
    update_sender(tls13)
    assert receive(tls13.receiver) == (SIX_BYTES, HANDSHAKE)
    assert tls13.sender.send(AFTER) == 25
    assert tls13.receiver.poll(POLLIN, 0) == 0
    with blocked(lambda: tls13.receiver.poll(POLLIN, FIVE_SECONDS)) as seen:
        tls13.rekey_receiver(1)
    assert seen == [POLLIN]
    assert tls13.receiver.recv(25, DONTWAIT) == AFTER
    assert rekey_counters(tls13) == [1, 0, 1, 0, 1, 0]


def test_a_poll_continues_after_the_rekey_until_a_record_arrives(tls13: TlsEnds) -> None:
    """tls.rekey_poll_delay, with a thread that polls in place of a process. K-13, K-19."""
    update_sender(tls13)
    assert receive(tls13.receiver) == (SIX_BYTES, HANDSHAKE)
    with blocked(lambda: tls13.receiver.poll(POLLIN, FIVE_SECONDS)) as seen:
        tls13.rekey_receiver(1)
        assert tls13.receiver.poll(POLLIN, 0) == 0
        assert tls13.sender.send(AFTER) == 25
    assert seen == [POLLIN]
    assert tls13.receiver.recv(25, DONTWAIT) == AFTER
    assert rekey_counters(tls13) == [1, 0, 1, 0, 1, 0]
