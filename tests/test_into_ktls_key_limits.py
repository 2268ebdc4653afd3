"""KeyUpdates over a kTLS socket that the limits of our key demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.ktls_hand_over import backend, handed_over
from tests.peers.raw import (
    NOT_REQUESTED,
    REQUESTED,
)
from tests.peers.support import DEADLINE, octal, start

__all__ = ["backend"]  # a fixture

if TYPE_CHECKING:
    from ktls_fast._backends import Backend


def test_our_key_is_renewed_after_rekey_records(backend: Backend) -> None:
    with handed_over(backend, rekey_records=4, rekey_peer=True) as (tls, peer):
        for number in range(10):
            tls.sendall(b"%d" % number)
        assert peer.receive_data(10) == b"0123456789"
        assert peer.key_updates == [REQUESTED, NOT_REQUESTED]


def test_our_key_is_renewed_inside_one_long_send(backend: Backend) -> None:
    with handed_over(backend, rekey_records=3) as (tls, peer):
        data = octal(200_000, 7)
        sending = start(lambda: tls.sendall(data))
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)
        assert len(peer.key_updates) == tls.keys.tx_generation == 4


def test_our_key_is_renewed_after_rekey_bytes(backend: Backend) -> None:
    with handed_over(backend, rekey_bytes=10_000, rekey_interval=0.0) as (tls, peer):
        data = octal(45_000, 8)
        sending = start(lambda: tls.sendall(data))
        assert peer.receive_data(len(data)) == data
        sending.result(DEADLINE)
        assert len(peer.key_updates) == 4


def test_sends_past_the_object_are_found_by_their_number(backend: Backend) -> None:
    with handed_over(backend, rekey_records=5000) as (tls, peer):
        sending = start(lambda: [tls.sock.send(b"x") for _ in range(4990)])
        assert peer.receive_data(4990) == b"x" * 4990
        sending.result(DEADLINE)
        tls.keys.note_sent(16384 * 6000)
        assert peer.key_updates == []
        tls.sendall(b"y")
        assert peer.receive_data(1) == b"y"
        assert peer.key_updates == []
