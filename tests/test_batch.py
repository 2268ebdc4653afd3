"""``Sealer.seal_batch``: many records in one call, all of them or none."""

import errno
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ktls_fast import KeyLimitError, KtlsError, RecordTooLargeError, SealedBatch, Sealer
from tests.reference import (
    AES_GCM_128,
    CHACHA20_POLY1305,
    TLS12,
    TLS13,
    TrafficKey,
    pattern,
    traffic_key,
)
from tests.refusal import seal_refused

DATA = pattern(50_000)
KEY = traffic_key(TLS13, AES_GCM_128)
LAST = 2**64 - 1


def records(batch: SealedBatch) -> list[bytes]:
    """Return the records of a batch at the offsets that it states."""
    places = zip(batch.offsets, batch.lengths, strict=True)
    return [bytes(batch.wire[offset : offset + length]) for offset, length in places]


def int64(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def modelled(key: TrafficKey, pieces: list[bytes], types: list[int] | None = None) -> list[bytes]:
    types = types or [23] * len(pieces)
    return [
        key.seal(piece, record_type, nth=nth)
        for nth, (piece, record_type) in enumerate(zip(pieces, types, strict=True))
    ]


@pytest.mark.parametrize("record_size", [1, 100, 1400, 5000, 16383, 16384])
def test_one_buffer_is_cut_every_record_size_bytes(key: TrafficKey, record_size: int) -> None:
    data = DATA[: min(len(DATA), record_size * 20 + record_size // 2)]
    batch = Sealer(key.struct()).seal_batch(data, record_size=record_size)
    pieces = [data[i : i + record_size] for i in range(0, len(data), record_size)]
    assert records(batch) == modelled(key, pieces)


def test_the_default_cut_is_the_longest_record(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(DATA)
    assert records(batch) == modelled(
        key, [DATA[:16384], DATA[16384:32768], DATA[32768:49152], DATA[49152:]]
    )


def test_a_multiple_of_record_size_leaves_no_empty_record(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(DATA[:300], record_size=100)
    assert len(batch) == 3


def test_record_type_applies_to_every_record(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(b"abcd", record_size=2, record_type=22)
    assert records(batch) == modelled(key, [b"ab", b"cd"], [22, 22])


def test_records_are_contiguous(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(DATA[:1000], record_size=300)
    ends = batch.offsets + batch.lengths
    assert list(batch.offsets) == [0, *ends[:-1]]
    assert ends[-1] == len(batch.wire)


def test_columns_are_int64_of_one_length(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(DATA[:1000], record_size=300)
    assert batch.offsets.dtype == batch.lengths.dtype == np.int64
    assert batch.offsets.shape == batch.lengths.shape == (len(batch),) == (4,)


def test_no_bytes_make_no_record(key: TrafficKey) -> None:
    sealer = Sealer(key.struct())
    batch = sealer.seal_batch(b"")
    assert (len(batch), bytes(batch.wire), sealer.rec_seq) == (0, b"", 0)
    assert batch.offsets.shape == batch.lengths.shape == (0,)


def test_no_pieces_make_no_record(key: TrafficKey) -> None:
    sealer = Sealer(key.struct())
    batch = sealer.seal_batch(DATA, offsets=int64(), lengths=int64())
    assert (len(batch), bytes(batch.wire), sealer.rec_seq) == (0, b"", 0)


def test_pieces_may_overlap_repeat_be_empty_and_come_in_any_order(key: TrafficKey) -> None:
    places = [(500, 100), (450, 100), (500, 100), (0, 0), (len(DATA), 0), (0, 16384), (7, 1)]
    batch = Sealer(key.struct()).seal_batch(
        DATA,
        offsets=int64(*(offset for offset, _ in places)),
        lengths=int64(*(length for _, length in places)),
    )
    pieces = [DATA[offset : offset + length] for offset, length in places]
    assert records(batch) == modelled(key, pieces)


def test_each_piece_may_have_its_own_type(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(
        b"abcdef",
        offsets=int64(0, 2, 4),
        lengths=int64(2, 2, 2),
        types=np.array([23, 22, 21], dtype=np.uint8),
    )
    assert records(batch) == modelled(key, [b"ab", b"cd", b"ef"], [23, 22, 21])


def test_record_type_applies_to_pieces_without_types(key: TrafficKey) -> None:
    batch = Sealer(key.struct()).seal_batch(
        b"abcd", record_type=21, offsets=int64(2, 0), lengths=int64(2, 2)
    )
    assert records(batch) == modelled(key, [b"cd", b"ab"], [21, 21])


def test_batches_and_single_records_share_record_numbers(key: TrafficKey) -> None:
    sealer = Sealer(key.struct())
    got = [sealer.seal(b"a"), *records(sealer.seal_batch(b"bcd", record_size=1)), sealer.seal(b"e")]
    assert got == modelled(key, [b"a", b"b", b"c", b"d", b"e"])
    assert sealer.rec_seq == 5


def test_wire_is_a_view_of_out_and_the_rest_of_out_is_unchanged(key: TrafficKey) -> None:
    want = b"".join(modelled(key, [DATA[:100], DATA[100:150]]))
    out = bytearray(b"\xa5" * (len(want) + 50))
    batch = Sealer(key.struct()).seal_batch(DATA[:150], record_size=100, out=out)
    assert out == want + b"\xa5" * 50
    assert batch.wire == want
    out[0] = 0
    assert batch.wire[0] == 0


def test_out_of_exactly_the_right_size_is_enough(key: TrafficKey) -> None:
    sealer = Sealer(key.struct())
    out = bytearray(150 + 2 * sealer.overhead)
    assert len(sealer.seal_batch(DATA[:150], record_size=100, out=out).wire) == len(out)


def test_out_too_small_is_refused(key: TrafficKey) -> None:
    need = 150 + 2 * key.overhead
    sealer = Sealer(key.struct())
    for nth, size in enumerate([0, 1, 100, need - key.overhead, need - 1]):
        out = bytearray(b"\xa5" * size)
        with seal_refused(sealer, key, errno.ENOBUFS, nth=nth, out=out):
            sealer.seal_batch(DATA[:150], record_size=100, out=out)


@pytest.mark.parametrize("start", [0, 1, 99, 400 - 1])
def test_out_that_overlaps_data_is_refused(key: TrafficKey, start: int) -> None:
    memory = bytearray(DATA[:2000])
    sealer = Sealer(key.struct())
    with seal_refused(sealer, key, errno.EINVAL, out=memory):
        sealer.seal_batch(memoryview(memory)[:400], record_size=100, out=memoryview(memory)[start:])


@pytest.mark.parametrize("column", ["offsets", "lengths", "types"])
def test_out_may_overlap_a_column(column: str) -> None:
    """The columns are read before the first record is written."""
    memory = np.zeros(1000, np.int64)
    columns: dict[str, Any] = {
        "offsets": np.zeros(100, np.int64),
        "lengths": np.zeros(100, np.int64),
        "types": np.full(100, 23, np.uint8),
    }
    apart = Sealer(KEY.struct()).seal_batch(b"", **columns)
    inside = memory.view(columns[column].dtype)[:100]
    inside[:] = columns[column]
    columns[column] = inside
    over = Sealer(KEY.struct()).seal_batch(b"", **columns, out=memory.view(np.uint8))
    assert over.wire == apart.wire


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 51), (50, 1), (51, 0), (-1, 1), (0, -1), (10, -5), (2**62, 2**62), (2**63 - 1, 2**63 - 1)],
)
def test_a_piece_outside_data_is_refused(key: TrafficKey, offset: int, length: int) -> None:
    out = bytearray(b"\xa5" * 1000)
    sealer = Sealer(key.struct())
    with seal_refused(sealer, key, errno.EINVAL, out=out):
        sealer.seal_batch(DATA[:50], offsets=int64(0, offset), lengths=int64(1, length), out=out)


def test_a_piece_longer_than_a_record_is_refused(key: TrafficKey) -> None:
    out = bytearray(b"\xa5" * 40_000)
    sealer = Sealer(key.struct())
    with seal_refused(sealer, key, errno.EMSGSIZE, out=out):
        sealer.seal_batch(DATA, offsets=int64(0, 0), lengths=int64(1, 16385), out=out)
    with pytest.raises(RecordTooLargeError, match="16385 bytes"):
        sealer.seal_batch(DATA, offsets=int64(0, 0), lengths=int64(1, 16385))


@pytest.mark.parametrize("record_size", [0, 16385, 2**40])
def test_a_record_size_out_of_range_is_refused(key: TrafficKey, record_size: int) -> None:
    sealer = Sealer(key.struct())
    with seal_refused(sealer, key, errno.EINVAL):
        sealer.seal_batch(DATA, record_size=record_size)


@pytest.mark.parametrize(
    "columns",
    [
        {"offsets": int64(0)},
        {"lengths": int64(1)},
        {"types": np.zeros(1, np.uint8)},
        {"offsets": int64(0), "lengths": int64(1, 1)},
        {"offsets": int64(0, 1), "lengths": int64(1)},
        {"offsets": int64(0), "lengths": int64(1), "types": np.zeros(2, np.uint8)},
        {"offsets": int64(0), "lengths": int64(1), "types": np.zeros(0, np.uint8)},
    ],
    ids=str,
)
def test_columns_of_unequal_length_or_type_are_refused(columns: dict[str, Any]) -> None:
    sealer = Sealer(KEY.struct())
    with seal_refused(sealer, KEY, errno.EINVAL):
        sealer.seal_batch(DATA, **columns)


def test_a_batch_beyond_the_key_limit_is_refused(key: TrafficKey) -> None:
    """RFC 8446 §5.5; three of ten are left."""
    out = bytearray(b"\xa5" * 1000)
    sealer = Sealer(key.struct(), record_limit=10)
    sealer.seal_batch(bytes(7), record_size=1)
    with seal_refused(sealer, key, errno.EKEYEXPIRED, nth=7, out=out):
        sealer.seal_batch(bytes(4), record_size=1, out=out)
    assert len(sealer.seal_batch(bytes(2), record_size=1)) == 2
    with pytest.raises(KeyLimitError):
        sealer.seal_batch(bytes(1))


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_batch_beyond_the_last_record_number_is_refused(version: int) -> None:
    """docs/kernel-rules.md, S2.3-1."""
    late = traffic_key(version, CHACHA20_POLY1305).at(LAST - 3)
    sealer = Sealer(late.struct())
    with seal_refused(sealer, late, errno.EBADMSG):
        sealer.seal_batch(bytes(4), record_size=1)
    assert len(sealer.seal_batch(bytes(2), record_size=1)) == 2
    with pytest.raises(KtlsError, match="sequence number"):
        sealer.seal_batch(bytes(1))


def test_an_empty_batch_is_never_refused(key: TrafficKey) -> None:
    assert len(Sealer(key.at(LAST).struct(), record_limit=0).seal_batch(b"")) == 0
