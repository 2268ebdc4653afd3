"""How many records one key of a ``KtlsSocket`` seals (RFC 8446 §5.5)."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import pytest

from ktls_fast import KeyLimitError, KtlsSocket, Namespace, OffloadQueue, Sealer
from tests.ktls_ends import (
    KEY_UPDATE,
    MORE,
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    closed_at_the_end,
    fails,
    generation,
    install,
    receive,
    send_typed,
)
from tests.reference import CHACHA20_POLY1305, HANDSHAKE, TLS12, TLS13, traffic_key

if TYPE_CHECKING:
    from tests.ktls_ends import MakePair

PAST = "TlsTxPastKeyLimit"
GCM_LIMIT = 23_726_566
TYPED = (SOL_TLS, 1, bytes([HANDSHAKE]))


class Limited:
    """A sender with a limit, and its receiver."""

    def __init__(
        self,
        pair: MakePair,
        limit: int | None,
        *,
        start: int = 0,
        device: OffloadQueue | None = None,
    ) -> None:
        """Install the key of generation 0, as one that has sealed ``start`` records."""
        near, far = pair()
        self.namespace = Namespace()
        self.sender = closed_at_the_end(
            KtlsSocket(near, namespace=self.namespace, record_limit=limit, device=device)
        )
        self.receiver = closed_at_the_end(KtlsSocket(far))
        for end, direction in ((self.sender, TLS_TX), (self.receiver, TLS_RX)):
            end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            install(end, direction, generation(0).at(start))

    def past(self) -> int:
        """Return the number of records sealed beyond the limit of the suite."""
        return self.namespace.tls_stat().get(PAST, 0)


def test_a_key_seals_up_to_its_limit_and_a_refused_send_takes_nothing(
    tcp_pair: MakePair,
) -> None:
    ends = Limited(tcp_pair, 3)
    for nth in range(3):
        assert ends.sender.send(b"data%d" % nth) == 5
    for _ in range(2):
        with pytest.raises(KeyLimitError, match="3 records") as caught:
            ends.sender.send(b"more")
        assert caught.value.errno == errno.EKEYEXPIRED
    assert b"".join(ends.receiver.recv(5) for _ in range(3)) == b"data0data1data2"


def test_the_next_key_starts_a_new_count(tcp_pair: MakePair) -> None:
    ends = Limited(tcp_pair, 2)
    ends.sender.send(b"data")
    send_typed(ends.sender, KEY_UPDATE, HANDSHAKE)
    with pytest.raises(KeyLimitError):
        ends.sender.send(b"late")
    install(ends.sender, TLS_TX, generation(1))
    ends.sender.send(b"next")
    assert ends.receiver.recv(10) == b"data"
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)
    install(ends.receiver, TLS_RX, generation(1))
    assert ends.receiver.recv(10) == b"next"


PIECES = {
    "whole": [KEY_UPDATE],
    "in_pieces": [KEY_UPDATE[:1], b"", KEY_UPDATE[1:4], KEY_UPDATE[4:]],
    "requested": [KEY_UPDATE[:4] + b"\1"],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("queued", [False, True], ids=["alone", "queue"])
def test_a_key_update_is_still_sent_at_the_limit(
    tcp_pair: MakePair, pieces: list[bytes], *, queued: bool
) -> None:
    with OffloadQueue() if queued else contextlib.nullcontext() as device:
        ends = Limited(tcp_pair, 2, device=device)
        for number in range(5):
            assert ends.sender.send(b"%d" % number * 20_000) == 20_000
            with pytest.raises(KeyLimitError):
                ends.sender.send(b"late")
            assert ends.sender.sendmsg(pieces, [TYPED]) == len(KEY_UPDATE)
            for data in (b"late", KEY_UPDATE):
                with pytest.raises(KeyLimitError):
                    send_typed(ends.sender, data, HANDSHAKE)
            install(ends.sender, TLS_TX, generation(number + 1))
            read = bytearray()
            while len(read) < 20_000:
                read += ends.receiver.recv(20_000)
            assert read == b"%d" % number * 20_000
            assert receive(ends.receiver, flags=0) == (b"".join(pieces), HANDSHAKE)
            install(ends.receiver, TLS_RX, generation(number + 1))
        ends.sender.close()


OTHERS = {
    "data": (KEY_UPDATE, 23),
    "alert": (b"\1\0", 21),
    "ticket": (b"\4\0\0\1\0", HANDSHAKE),
    "bad_reply": (b"\x18\0\0\1\2", HANDSHAKE),
    "half": (KEY_UPDATE[:4], HANDSHAKE),
    "two": (KEY_UPDATE * 2, HANDSHAKE),
}


@pytest.mark.parametrize(("data", "record_type"), OTHERS.values(), ids=OTHERS)
def test_only_a_key_update_is_sent_at_the_limit(
    tcp_pair: MakePair, data: bytes, record_type: int
) -> None:
    ends = Limited(tcp_pair, 1)
    ends.sender.send(b"data")
    for _ in range(2):
        with fails(errno.EKEYEXPIRED):
            send_typed(ends.sender, data, record_type)
    assert send_typed(ends.sender, KEY_UPDATE, HANDSHAKE) == len(KEY_UPDATE)
    assert ends.receiver.recv(100) == b"data"
    assert receive(ends.receiver) == (KEY_UPDATE, HANDSHAKE)


def test_a_key_installed_beyond_its_limit_sends_one_key_update(tcp_pair: MakePair) -> None:
    ends = Limited(tcp_pair, 5, start=100)
    with fails(errno.EKEYEXPIRED):
        ends.sender.send(b"data")
    assert send_typed(ends.sender, KEY_UPDATE, HANDSHAKE) == len(KEY_UPDATE)
    with fails(errno.EKEYEXPIRED):
        send_typed(ends.sender, KEY_UPDATE, HANDSHAKE)


def test_tls_12_sends_nothing_at_the_limit(tcp_pair: MakePair) -> None:
    sender = closed_at_the_end(KtlsSocket(tcp_pair()[0], record_limit=0))
    sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    install(sender, TLS_TX, generation(0, TLS12))
    with fails(errno.EKEYEXPIRED):
        send_typed(sender, KEY_UPDATE, HANDSHAKE)


@pytest.mark.parametrize("limit", [-1, -(2**70), 2**64])
def test_an_invalid_limit_is_refused(tcp_pair: MakePair, limit: int) -> None:
    near, _ = tcp_pair()
    for make in (
        lambda: KtlsSocket(near, record_limit=limit),
        lambda: Sealer(generation(0).struct(), record_limit=limit),
    ):
        with pytest.raises(ValueError, match=f"^record_limit {limit} is not from 0 to"):
            make()
    assert near.fileno() >= 0


@pytest.mark.parametrize("more_than_fits", [False, True])
def test_a_large_send_is_sent_up_to_the_limit(tcp_pair: MakePair, *, more_than_fits: bool) -> None:
    ends = Limited(tcp_pair, 4)
    size = 4 * 16_384
    data = bytes(size + (1 if more_than_fits else 0))
    assert ends.sender.send(data) == size
    received = bytearray()
    while len(received) < size:
        received += ends.receiver.recv(size)
    assert len(received) == size


def test_records_before_rec_seq_are_counted(tcp_pair: MakePair) -> None:
    ends = Limited(tcp_pair, 102, start=100)
    assert ends.sender.send(bytes(3 * 16_384)) == 2 * 16_384
    with fails(errno.EKEYEXPIRED):
        ends.sender.send(b"x")


def test_an_open_record_at_the_limit_is_not_lost(tcp_pair: MakePair) -> None:
    ends = Limited(tcp_pair, 2)
    ends.sender.send(b"open", MORE)
    install(ends.sender, TLS_TX, generation(0).at(2))
    with fails(errno.EKEYEXPIRED):
        ends.sender.send(b"more")
    with fails(errno.EKEYEXPIRED):
        send_typed(ends.sender, b"?", 99)
    install(ends.sender, TLS_TX, generation(0))
    ends.sender.send(b" again")
    assert ends.receiver.recv(100) == b"open again"


def test_an_offload_queue_obeys_the_limit(tcp_pair: MakePair) -> None:
    with OffloadQueue() as queue:
        ends = Limited(tcp_pair, 3, device=queue)
        assert ends.sender.send(bytes(4 * 16_384)) == 3 * 16_384
        with fails(errno.EKEYEXPIRED):
            ends.sender.send(b"x")
        ends.sender.close()


def test_by_default_keys_seal_past_their_limit_and_are_counted(tcp_pair: MakePair) -> None:
    ends = Limited(tcp_pair, None, start=GCM_LIMIT - 2)
    ends.sender.send(bytes(2 * 16_384))
    assert ends.past() == 0
    assert ends.sender.send(b"one past it") == 11
    assert ends.past() == 1
    ends.sender.send(bytes(5 * 16_384))
    assert ends.past() == 6


def test_a_send_across_the_limit_counts_the_records_after_it(tcp_pair: MakePair) -> None:
    ends = Limited(tcp_pair, None, start=GCM_LIMIT - 2)
    ends.sender.send(bytes(6 * 16_384))
    assert ends.past() == 4
    assert f"{PAST:<32}\t4\n" in ends.namespace.tls_stat(format="proc")


def test_a_cipher_without_a_limit_counts_nothing(tcp_pair: MakePair) -> None:
    namespace = Namespace()
    sender = closed_at_the_end(KtlsSocket(tcp_pair()[0], namespace=namespace))
    sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    sender.setsockopt(SOL_TLS, TLS_TX, traffic_key(TLS13, CHACHA20_POLY1305).at(2**63).struct())
    sender.send(b"data")
    assert PAST not in namespace.tls_stat()
