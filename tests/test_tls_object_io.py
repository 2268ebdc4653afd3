"""The bytes in and out of a TLS object: sizes, records, and what its properties say about them."""

import sys

import pytest

from ktls_fast import WantReadError
from tests.tls_objects import exchange, object_and_peer, objects, read_all, records

RECORD = 16384
OVERHEAD = 22


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
