"""How a TLS object ends, and how it changes its keys."""

import pytest

from ktls_fast import WantReadError
from tests.peers.raw import (
    ALERT,
    CLOSE_NOTIFY,
    DATA,
    HANDSHAKE,
    NOT_REQUESTED,
    REQUESTED,
    RecordDirection,
    key_update,
)
from tests.tls_objects import exchange, object_and_peer, objects, read_all

RECORD = 16384
OVERHEAD = 22


def sealed_update(peer: RecordDirection, reply: int) -> bytes:
    """Seal a KeyUpdate and install the next key."""
    record = peer.seal(key_update(reply), HANDSHAKE)
    peer.rekey()
    return record


def opened(rx: RecordDirection, wire: bytes) -> list[tuple[int, bytes]]:
    """Open records, and follow KeyUpdates."""
    found = []
    while wire:
        size = 5 + int.from_bytes(wire[3:5], "big")
        found.append(rx.open(wire[:size]))
        if found[-1][0] == HANDSHAKE:
            rx.rekey()
        wire = wire[size:]
    return found


def test_the_end_is_pending_until_it_was_read() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"last") + peer.seal(CLOSE_NOTIFY, ALERT))
    assert ours.read() == b"last"
    assert ours.pending() > 0
    assert ours.read() == b""
    assert ours.pending() == 0
    assert ours.closed_by_peer
    assert ours.read() == b""
    assert ours.recv_into(bytearray(9)) == 0


def test_the_end_behind_a_short_read_is_pending_and_not_yet_closed() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"last") + peer.seal(CLOSE_NOTIFY, ALERT))
    assert ours.read(2) == b"la"
    assert not ours.closed_by_peer
    assert ours.pending() > 2
    assert ours.read(2) == b"st"
    assert ours.pending() > 0
    assert ours.read(2) == b""
    assert (ours.pending(), ours.closed_by_peer) == (0, True)


def test_bytes_behind_close_notify_are_left_over_for_the_caller() -> None:
    ours, peer, _ = object_and_peer()
    clear = b"QUIT\r\n" + bytes(70_000)
    ours.receive(peer.seal(b"data") + peer.seal(CLOSE_NOTIFY, ALERT) + clear)
    assert ours.leftover() == b""
    assert ours.read() == b"data"
    assert ours.read() == b""
    assert ours.pending() == 0
    assert ours.leftover() == clear
    assert ours.leftover() == b""
    ours.receive(b"more")
    assert (ours.pending(), ours.read(), ours.leftover()) == (0, b"", b"more")


def test_writing_goes_on_after_the_peers_close_notify_and_ends_with_ours() -> None:
    ours, peer, rx = object_and_peer()
    ours.receive(peer.seal(CLOSE_NOTIFY, ALERT))
    assert ours.read() == b""
    ours.write(b"still open")
    ours.close_notify()
    ours.close_notify()
    assert opened(rx, ours.data_to_send()) == [(DATA, b"still open"), (ALERT, CLOSE_NOTIFY)]
    for call in (lambda: ours.write(b"late"), ours.key_update):
        with pytest.raises(BrokenPipeError):
            call()
    assert ours.data_to_send() == b""


def test_reading_goes_on_after_our_close_notify() -> None:
    ours, peer, _ = object_and_peer()
    ours.close_notify()
    ours.receive(peer.seal(b"late") + sealed_update(peer, REQUESTED) + peer.seal(b"later"))
    assert read_all(ours) == b"latelater"


def test_a_requested_key_update_is_answered_by_reading() -> None:
    ours, peer, rx = object_and_peer()
    ours.receive(peer.seal(b"a") + sealed_update(peer, REQUESTED) + peer.seal(b"b"))
    assert ours.unsent == 0
    assert ours.read() == b"a"
    answer = ours.data_to_send()
    assert opened(rx, answer) == [(HANDSHAKE, key_update(NOT_REQUESTED))]
    assert ours.read() == b"b"
    ours.write(b"under the next key")
    assert opened(rx, ours.data_to_send()) == [(DATA, b"under the next key")]
    assert (ours.tx_generation, ours.rx_generation) == (1, 1)


def test_a_key_update_alone_is_no_data_and_is_answered() -> None:
    ours, peer, rx = object_and_peer()
    ours.receive(sealed_update(peer, REQUESTED))
    assert ours.pending() > 0
    with pytest.raises(WantReadError):
        ours.read()
    assert ours.pending() == 0
    assert opened(rx, ours.data_to_send()) == [(HANDSHAKE, key_update(NOT_REQUESTED))]


def test_one_answer_serves_many_requests_while_nothing_is_sent() -> None:
    ours, peer, rx = object_and_peer(key_update_limit=(32, 0))
    ours.write(bytes(1 << 20))
    for _ in range(50):
        ours.receive(sealed_update(peer, REQUESTED))
    with pytest.raises(WantReadError):
        ours.read()
    assert ours.rx_generation == 50
    assert ours.tx_generation == 0
    sent = ours.data_to_send() + ours.data_to_send()
    updates = [body for record_type, body in opened(rx, sent) if record_type == HANDSHAKE]
    assert updates == [key_update(NOT_REQUESTED)]


def test_an_owed_answer_goes_out_before_the_next_data() -> None:
    ours, peer, rx = object_and_peer()
    ours.write(bytes(1 << 20))
    ours.receive(sealed_update(peer, REQUESTED))
    with pytest.raises(WantReadError):
        ours.read()
    ours.write(b"behind the answer")
    sent = opened(rx, ours.data_to_send())
    assert sent[-2:] == [(HANDSHAKE, key_update(NOT_REQUESTED)), (DATA, b"behind the answer")]


def test_keys_are_renewed_by_the_policy() -> None:
    ours, peer = objects(rekey_bytes=100_000, rekey_interval=0, rekey_peer=True)
    ours.write(bytes(1_000_000))
    assert ours.tx_generation == 9
    exchange(ours, peer)
    assert len(read_all(peer)) == 1_000_000
    assert peer.rx_generation == 9
    exchange(ours, peer)
    with pytest.raises(WantReadError):
        ours.read()
    assert ours.rx_generation == 1
