"""The bytes in and out of a TLS object: sizes, records, and what its properties say about them."""

import sys

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
from tests.tls_objects import exchange, object_and_peer, objects, read_all, records

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


def test_it_wants_bytes_before_there_are_any() -> None:
    ours, _, _ = object_and_peer()
    for call in (ours.read, lambda: ours.recv_into(bytearray(9))):
        with pytest.raises(WantReadError, match="more bytes of the peer") as caught:
            call()
        assert caught.value.errno == 11
        assert isinstance(caught.value, BlockingIOError)
    assert (ours.pending(), ours.unsent, ours.data_to_send()) == (0, 0, b"")


@pytest.mark.parametrize("n", [1, 7, 99, 100, 101, 65536, sys.maxsize])
def test_read_returns_up_to_n_bytes(n: int) -> None:
    ours, peer, _ = object_and_peer()
    data = bytes(range(100))
    ours.receive(peer.seal(data) + peer.seal(data))
    pieces = []
    while ours.pending():
        pieces.append(ours.read(n))
        assert 0 < len(pieces[-1]) <= n
    assert b"".join(pieces) == data * 2
    if n >= 200:
        assert len(pieces) == 1


def test_read_of_nothing_returns_nothing_and_keeps_the_data() -> None:
    ours, peer, _ = object_and_peer()
    assert ours.read(0) == b""
    ours.receive(peer.seal(b"data"))
    assert ours.read(0) == b""
    assert ours.recv_into(bytearray()) == 0
    assert ours.read() == b"data"
    for n in (-1, -sys.maxsize):
        with pytest.raises(ValueError, match="is not a number of bytes"):
            ours.read(n)
    with pytest.raises(OverflowError):
        ours.read(1 << 64)


@pytest.mark.parametrize("n", [RECORD, RECORD - 1, RECORD + 1, 3 * RECORD, 10 * RECORD])
def test_reads_of_the_size_of_records_return_the_stream(n: int) -> None:
    sender, ours = objects()
    data = bytes(range(256)) * 640
    sender.write(data)
    ours.receive(sender.data_to_send())
    pieces = []
    while ours.pending():
        pieces.append(ours.read(n))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= n
    if n % RECORD == 0:
        assert len(pieces) == 10 * RECORD // n + (10 * RECORD % n > 0)


def test_recv_into_opens_many_records_in_one_call() -> None:
    sender, ours = objects()
    data = bytes(range(256)) * 1000
    sender.write(data)
    ours.receive(sender.data_to_send())
    buffer = bytearray(1 << 20)
    assert ours.recv_into(buffer) == len(data)
    assert buffer[: len(data)] == data
    assert not any(buffer[len(data) :])


def test_recv_into_respects_nbytes_and_the_buffer() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"0123456789"))
    buffer = bytearray(b"-" * 8)
    assert ours.recv_into(buffer, 3) == 3
    assert buffer == b"012-----"
    assert ours.recv_into(memoryview(buffer)[4:]) == 4
    assert buffer == b"012-3456"
    with pytest.raises(ValueError, match="9 bytes into a buffer of 8"):
        ours.recv_into(buffer, 9)
    with pytest.raises(ValueError, match="-1 is not a number of bytes"):
        ours.recv_into(buffer, -1)
    with pytest.raises(BufferError):
        ours.recv_into(bytes(8))
    assert ours.recv_into(buffer) == 3


def test_padding_and_empty_records_are_not_data() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"") + peer.seal(b"a", padding=500) + peer.seal(b"", padding=9))
    assert ours.read() == b"a"
    with pytest.raises(WantReadError):
        ours.read()
    assert ours.pending() == 0
    ours.receive(peer.seal(b""))
    with pytest.raises(WantReadError):
        ours.read()


def test_read_allocates_for_the_data_and_not_for_n() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"few"))
    got = ours.read(1 << 46)
    assert got == b"few"
    assert sys.getsizeof(got) == sys.getsizeof(b"few")
    with pytest.raises(WantReadError):
        ours.read(sys.maxsize)


def test_write_takes_everything_and_unsent_counts_it() -> None:
    ours, peer = objects()
    data = bytes(5 << 20)
    assert ours.write(data) == len(data)
    count = -(-len(data) // RECORD)
    assert ours.unsent == len(data) + OVERHEAD * count
    assert ours.records_sent == count
    first = ours.data_to_send(100)
    assert len(first) == 100
    assert ours.data_to_send(0) == b""
    rest = ours.data_to_send()
    assert ours.unsent == 0
    peer.receive(first + rest)
    assert read_all(peer) == data


def test_write_of_nothing_sends_nothing() -> None:
    ours, _ = objects()
    assert ours.write(b"") == 0
    assert ours.writelines([]) == 0
    assert ours.writelines([b"", bytearray(), memoryview(b"")]) == 0
    assert ours.unsent == 0


@pytest.mark.parametrize(
    ("sizes", "sealed"),
    [
        ([1, 2, 3], [6]),
        ([5] * 1000, [5000]),
        ([RECORD, 1], [RECORD, 1]),
        ([1, RECORD], [RECORD, 1]),
        ([3 * RECORD + 7, 0, 9], [RECORD] * 3 + [16]),
        ([10, 3 * RECORD, 5], [RECORD] * 3 + [15]),
        ([RECORD - 1, 1, 2], [RECORD, 2]),
    ],
)
def test_short_parts_of_writelines_share_records(sizes: list[int], sealed: list[int]) -> None:
    ours, peer = objects()
    parts = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    assert ours.writelines(iter(parts)) == sum(sizes)
    wire = ours.data_to_send()
    assert [len(body) - OVERHEAD + 5 for _, body in records(wire)] == sealed
    peer.receive(wire)
    assert read_all(peer) == b"".join(parts)


def test_writelines_refuses_what_is_not_a_buffer_and_seals_nothing() -> None:
    ours, _ = objects()
    with pytest.raises(TypeError):
        ours.writelines([b"a", "b"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        ours.writelines(3)  # type: ignore[arg-type]
    assert ours.unsent == 0


def test_wants_is_what_completes_the_next_record() -> None:
    ours, peer, _ = object_and_peer()
    record = peer.seal(b"hello world")
    for size, byte in enumerate(record):
        missing = len(record) - size if size >= 5 else 5 - size
        assert ours.wants == missing
        assert ours.pending() == 0
        ours.receive(bytes([byte]))
    assert ours.wants == 0
    assert ours.pending() == len(record)
    assert ours.read(5) == b"hello"
    assert (ours.wants, ours.pending()) == (0, 6)
    assert ours.read() == b" world"
    assert ours.wants == 5


def test_a_reader_that_takes_only_what_it_wants_keeps_no_whole_record() -> None:
    sender, ours = objects()
    sender.write(bytes(100_000))
    wire = memoryview(sender.data_to_send())
    got = 0
    while wire:
        take = max(1, min(ours.wants, len(wire)))
        ours.receive(wire[:take])
        wire = wire[take:]
        if not ours.wants:
            got += ours.recv_into(bytearray(RECORD))
            assert ours.pending() == 0
    assert got == 100_000


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


def test_the_counts_are_those_of_both_directions() -> None:
    ours, peer = objects()
    ours.write(b"12345")
    ours.key_update()
    peer.write(b"123")
    exchange(ours, peer)
    assert (read_all(ours), read_all(peer)) == (b"123", b"12345")
    assert (ours.records_sent, ours.bytes_sent, ours.tx_generation) == (2, 5, 1)
    assert (ours.records_received, ours.bytes_received, ours.rx_generation) == (1, 3, 0)
    assert (peer.records_received, peer.bytes_received, peer.rx_generation) == (2, 5, 1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_buffer_is_taken(kind: type) -> None:
    ours, peer = objects()
    assert ours.write(kind(b"data")) == 4
    peer.receive(kind(ours.data_to_send()))
    assert peer.read() == b"data"


def test_the_repr_names_version_and_suite() -> None:
    ours, _ = objects()
    assert repr(ours) == "<TLSObject TLSv1.3 TLS_AES_128_GCM_SHA256>"
