"""A control record at a KtlsSocket side ends its pair; its owner reads it and continues."""

from __future__ import annotations

import errno
import select
import socket
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import ControlRecord, KtlsSocket
from tests.ktls_ends import KEY_UPDATE, TLS_RX, TLS_TX, generation, install, receive, send_typed
from tests.peers.raw import ALERT, CLOSE_NOTIFY, HANDSHAKE, ticket
from tests.peers.support import DEADLINE, octal, start
from tests.relay_ktls import (
    BACK,
    KINDS,
    THERE,
    RelayedKtlsPair,
    added,
    far_sealer,
    finish,
    ktls_link,
    link,
    narrow,
    pumped,
    receive_all,
    receive_exactly,
    send_raw,
)
from tests.relay_pairs import send_until_full

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ktls_fast import RelayHandle
    from tests.relay_ktls import End

KEY_UPDATES = 12


def send_key_update(far: KtlsSocket, number: int) -> None:
    """Send the KeyUpdate that ends generation ``number`` of a far end, and install its next key."""
    send_typed(far, KEY_UPDATE, HANDSHAKE)
    install(far, TLS_TX, generation(BACK + number + 1))


def read_key_update(near: KtlsSocket, number: int) -> None:
    """Receive the KeyUpdate at the near end, and install the next key."""
    assert receive(near) == (KEY_UPDATE, HANDSHAKE)
    install(near, TLS_RX, generation(BACK + number + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_continues_after_each_key_update_without_losing_a_byte(
    relay: ktls_fast.Relay, kind: str
) -> None:
    there, back = octal(3_000_000, 1), octal(2_000_000, 2)
    with pumped(relay, kind) as pair:
        sending = [
            start(lambda: _send_with_key_updates(pair.far_a, there)),
            start(lambda: _send_and_finish(pair.far_b, back)),
        ]
        receiving = start(lambda: receive_all(pair.far_a))
        handles = start(lambda: _go_on_at_key_updates(relay, pair))
        assert receive_all(pair.far_b) == there
        assert receiving.result(DEADLINE) == back
        assert [sent.result(DEADLINE) for sent in sending] == [None, None]
        ended = handles.result(DEADLINE)
    assert [handle.error for handle in ended] == [None] * (KEY_UPDATES + 1)
    assert [handle.control for handle in ended[:-1]] == [(0, HANDSHAKE)] * KEY_UPDATES
    assert ended[-1].control is None
    assert sum(handle.bytes[0] for handle in ended) == len(there)
    assert sum(handle.bytes[1] for handle in ended) == len(back)


def _send_with_key_updates(far: KtlsSocket, data: bytes) -> None:
    step = len(data) // KEY_UPDATES
    for number in range(KEY_UPDATES):
        far.sendall(data[number * step : (number + 1) * step])
        send_key_update(far, number)
    far.sendall(data[KEY_UPDATES * step :])
    finish(far)


def _send_and_finish(far: End, data: bytes) -> None:
    far.sendall(data)
    finish(far)


def _go_on_at_key_updates(relay: ktls_fast.Relay, pair: RelayedKtlsPair) -> list[RelayHandle]:
    ended = [pair.ended.result(DEADLINE)]
    while ended[-1].control is not None:
        read_key_update(pair.a, len(ended) - 1)
        _, future = added(relay, pair.a, pair.b)
        ended.append(future.result(DEADLINE))
    return ended


@pytest.mark.parametrize("kind", KINDS)
def test_a_control_record_stays_unread_and_the_peers_are_not_notified(
    relay: ktls_fast.Relay, kind: str
) -> None:
    with pumped(relay, kind) as pair:
        pair.far_a.sendall(b"before")
        send_key_update(pair.far_a, 0)
        pair.far_a.sendall(b"behind")
        assert receive_exactly(pair.far_b, 6) == b"before"
        handle = pair.ended.result(DEADLINE)
        assert (handle.done, handle.error) == (True, None)
        assert handle.control == ControlRecord(side=0, record_type=HANDSHAKE)
        assert "control record of type 22 from side 0" in repr(handle)
        assert (handle.bytes, handle.records) == ((6, 0), (2, 0))
        assert relay.stats()["failed"] == 0
        _has_nothing(pair.far_b)
        _has_nothing(pair.far_a)
        read_key_update(pair.a, 0)
        assert pair.a.recv(100) == b"behind"
        pair.a.sendall(b"still open")
        assert pair.far_a.recv(100) == b"still open"
        pair.b.sendall(b"as well")
        assert pair.far_b.recv(100) == b"as well"


def _has_nothing(far: End) -> None:
    far.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.recv(1)
    far.settimeout(DEADLINE)


@pytest.mark.parametrize(
    ("record_type", "data"), [(ALERT, CLOSE_NOTIFY), (HANDSHAKE, ticket()), (99, b"unknown")]
)
def test_every_type_but_data_ends_a_pair_and_the_side_is_reported(
    relay: ktls_fast.Relay, record_type: int, data: bytes
) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        _, ended = added(relay, other, near)
        send_typed(far, data, record_type)
        handle = ended.result(DEADLINE)
        assert handle.control == (1, record_type)
        assert receive(near, 1000) == (data, record_type)


def test_several_records_in_a_row_are_each_handed_over(relay: ktls_fast.Relay) -> None:
    """They were read from TCP together; an empty data record is not the end."""
    with pumped(relay) as pair:
        sealer = far_sealer()
        records = [(b"one", 23), (b"", 23), (b"t", 22), (b"a", 21), (b"", 23), (b"u", 22)]
        send_raw(pair.far_a, b"".join(sealer.seal(*record) for record in records))
        assert receive_exactly(pair.far_b, 3) == b"one"
        ended = pair.ended
        for data, record_type in [(b"t", 22), (b"a", 21), (b"u", 22)]:
            assert ended.result(DEADLINE).control == (0, record_type)
            assert receive(pair.a) == (data, record_type)
            _, ended = added(relay, pair.a, pair.b)
        send_raw(pair.far_a, sealer.seal(b"two"))
        assert receive_exactly(pair.far_b, 3) == b"two"


def test_unread_record_ends_the_pair_again(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        send_key_update(pair.far_a, 0)
        assert pair.ended.result(DEADLINE).control == (0, HANDSHAKE)
        _, again = added(relay, pair.a, pair.b)
        assert again.result(DEADLINE).control == (0, HANDSHAKE)
        read_key_update(pair.a, 0)


def _stuck_at_control(pair: RelayedKtlsPair) -> int:
    """Let a KeyUpdate arrive while the other direction is full; return the bytes sent there."""
    assert isinstance(pair.far_b, socket.socket)
    narrow(pair.a, pair.far_a, 1 << 16)
    sent = send_until_full(pair.far_b)
    for _ in range(5):
        # The relay fills space that TCP has freed and not reported yet.
        pair.far_a.sendall(b".")
        assert pair.far_b.recv(1) == b"."
    send_key_update(pair.far_a, 0)
    with pytest.raises(TimeoutError):
        pair.ended.result(0.1)
    return sent


def _receive_until(ended: Future[RelayHandle], far: KtlsSocket) -> int:
    """Receive what comes until a pair has ended: nothing may come between the last and the end."""
    got = 0
    while not ended.done():
        if far.poll(select.POLLIN, 0.01):
            got += len(far.recv(4096))
    return got


def test_data_read_before_is_passed_on_first(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        sent = _stuck_at_control(pair)
        got = _receive_until(pair.ended, pair.far_a)
        handle = pair.ended.result(DEADLINE)
        assert handle.control == (0, HANDSHAKE)
        got += len(receive_exactly(pair.far_a, handle.bytes[1] - got))
        assert got == handle.bytes[1] < sent
        _has_nothing(pair.far_a)
        read_key_update(pair.a, 0)
        added(relay, pair.a, pair.b)
        finish(pair.far_b)
        assert len(receive_all(pair.far_a)) == sent - got


def test_answer_and_key_of_the_owner_go_before_what_follows(relay: ktls_fast.Relay) -> None:
    """The peer's KeyUpdate requests one of ours."""
    with pumped(relay) as pair:
        pair.far_b.sendall(b"under the old key")
        assert pair.far_a.recv(100) == b"under the old key"
        send_key_update(pair.far_a, 0)
        pair.ended.result(DEADLINE)
        read_key_update(pair.a, 0)
        send_typed(pair.a, KEY_UPDATE, HANDSHAKE)
        install(pair.a, TLS_TX, generation(THERE + 1))
        added(relay, pair.a, pair.b)
        pair.far_b.sendall(b"under the new key")
        assert receive(pair.far_a, flags=0) == (KEY_UPDATE, HANDSHAKE)
        install(pair.far_a, TLS_RX, generation(THERE + 1))
        assert pair.far_a.recv(100) == b"under the new key"


def test_a_half_closed_pair_continues(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        finish(pair.far_b)
        assert pair.far_a.recv(1) == b""
        send_key_update(pair.far_a, 0)
        assert pair.ended.result(DEADLINE).control == (0, HANDSHAKE)
        read_key_update(pair.a, 0)
        _, ended = added(relay, pair.a, pair.b)
        pair.far_a.sendall(b"the rest")
        finish(pair.far_a)
        assert receive_all(pair.far_b) == b"the rest"
        assert ended.result(DEADLINE).error is None


def test_a_stop_at_a_control_record_notifies_no_peer(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        _stuck_at_control(pair)
        pair.handle.stop()
        reading = start(lambda: receive_exactly(pair.far_a, 1 << 30))
        assert pair.ended.result(DEADLINE).control == (0, HANDSHAKE)
        pair.a.sendall(b"no FIN was sent")
        pair.a.close()
        assert len(reading.result(DEADLINE)) == pair.handle.bytes[1] + 15


def test_a_close_notify_that_answers_a_stop_is_received(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.handle.stop()
        assert pair.far_a.recv(1) == b""
        send_typed(pair.far_a, CLOSE_NOTIFY, ALERT)
        finish(pair.far_a)
        assert pair.end().control == (0, ALERT)


def test_close_without_drain_cuts_a_pair_at_a_record() -> None:
    relay = ktls_fast.Relay()
    with pumped(relay) as pair:
        _stuck_at_control(pair)
        relay.close(drain=0)
        handle = pair.end()
        assert handle.control is None
        assert handle.error is not None
        assert handle.error.errno == errno.ECONNABORTED


def test_idle_timeout_counts_at_a_record(relay: ktls_fast.Relay) -> None:
    with pumped(relay, idle_timeout=3) as pair:
        _stuck_at_control(pair)
        handle = pair.end()
        assert isinstance(handle.error, TimeoutError)
        assert handle.control is None


def test_refused_bytes_are_an_error_even_at_a_control_record(relay: ktls_fast.Relay) -> None:
    """A pair that can continue must not have lost any bytes."""
    with pumped(relay) as pair:
        assert isinstance(pair.far_b, socket.socket)
        pair.far_b.shutdown(socket.SHUT_RDWR)
        assert pair.far_a.recv(1) == b""
        for _ in range(50):
            pair.far_a.sendall(bytes(10_000))
        send_key_update(pair.far_a, 0)
        error = pair.ended.result(DEADLINE).error
        assert isinstance(error, BrokenPipeError | ConnectionResetError)
        assert "the plain side" in str(error)
        assert pair.handle.control is None
        assert receive(pair.a) == (KEY_UPDATE, HANDSHAKE)
