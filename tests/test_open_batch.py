"""``Opener.open_batch``: as many whole records as there are, plaintexts packed."""

import errno
import struct

import numpy as np
import pytest

from ktls_fast import BadRecordError, KtlsError, OpenedBatch, Opener, RecordTooLargeError
from tests.reference import TrafficKey, pattern
from tests.refusal import open_refused

PIECES = [(23, b"first"), (21, b"\1\0"), (23, b""), (22, b"\4\0\0\3abc"), (23, pattern(3000))]


def wire_of(key: TrafficKey, pieces: list[tuple[int, bytes]] = PIECES) -> bytes:
    return b"".join(
        key.seal(data, record_type, nth=nth) for nth, (record_type, data) in enumerate(pieces)
    )


def ends_of(key: TrafficKey) -> list[int]:
    """Return the end of each record of :func:`wire_of`."""
    ends, end = [], 0
    for _, data in PIECES:
        end += len(data) + key.overhead
        ends.append(end)
    return ends


def pieces_of(batch: OpenedBatch) -> list[tuple[int, bytes]]:
    """Return the contents of a batch at the offsets that it states."""
    columns = zip(batch.types, batch.offsets, batch.lengths, strict=True)
    return [(int(kind), bytes(batch.data[at : at + length])) for kind, at, length in columns]


def test_all_whole_records_are_opened(key: TrafficKey) -> None:
    wire = wire_of(key)
    opener = Opener(key.struct())
    batch = opener.open_batch(wire)
    assert pieces_of(batch) == PIECES
    assert (batch.consumed, batch.stopped, batch.error) == (len(wire), None, None)
    assert opener.rec_seq == len(batch) == len(PIECES)


def test_plaintexts_are_packed(key: TrafficKey) -> None:
    batch = Opener(key.struct()).open_batch(wire_of(key))
    assert bytes(batch.data) == b"".join(data for _, data in PIECES)
    assert list(batch.offsets) == [0, *np.cumsum(batch.lengths)[:-1]]


def test_columns_have_their_types_and_one_length(key: TrafficKey) -> None:
    batch = Opener(key.struct()).open_batch(wire_of(key))
    assert batch.types.dtype == np.uint8
    assert batch.offsets.dtype == batch.lengths.dtype == np.int64
    assert batch.types.shape == batch.offsets.shape == batch.lengths.shape == (len(PIECES),)


def test_padding_is_removed_and_leaves_no_gap(key13: TrafficKey) -> None:
    """RFC 8446 §5.4."""
    wire = key13.seal(b"one", padding=500) + key13.seal(b"two", nth=1, padding=1)
    batch = Opener(key13.struct()).open_batch(wire)
    assert bytes(batch.data) == b"onetwo"


def test_an_empty_wire_holds_no_record(key: TrafficKey) -> None:
    batch = Opener(key.struct()).open_batch(b"")
    assert (len(batch), bytes(batch.data), batch.consumed, batch.stopped) == (0, b"", 0, None)
    assert batch.types.shape == batch.offsets.shape == batch.lengths.shape == (0,)


def test_a_batch_split_at_each_offset_equals_the_whole(key: TrafficKey) -> None:
    wire, ends = wire_of(key), ends_of(key)
    for cut in range(0, len(wire) + 1, 1 if len(wire) < 600 else 7):
        opener = Opener(key.struct())
        front = opener.open_batch(wire[:cut])
        assert front.consumed == max((end for end in ends if end <= cut), default=0)
        assert front.stopped is None
        back = opener.open_batch(wire[front.consumed :])
        assert pieces_of(front) + pieces_of(back) == PIECES, cut


def test_fed_byte_by_byte_each_record_opens_at_its_last_byte(key: TrafficKey) -> None:
    wire, ends = wire_of(key), ends_of(key)
    opener = Opener(key.struct())
    start, pieces = 0, []
    for end in range(1, len(wire) + 1):
        batch = opener.open_batch(memoryview(wire)[start:end])
        pieces += pieces_of(batch)
        start += batch.consumed
        assert start == max((border for border in ends if border <= end), default=0)
    assert pieces == PIECES


def test_data_is_a_view_of_out(key: TrafficKey) -> None:
    out = bytearray(5000)
    batch = Opener(key.struct()).open_batch(wire_of(key), out)
    assert pieces_of(batch) == PIECES
    out[0] ^= 1
    assert batch.data[0] == out[0]


def test_out_as_long_as_the_wire_is_enough(key: TrafficKey) -> None:
    wire = wire_of(key)
    assert pieces_of(Opener(key.struct()).open_batch(wire, bytearray(len(wire)))) == PIECES


def test_out_as_long_as_the_plaintexts_is_enough(key: TrafficKey) -> None:
    """The caller need not make room for type and padding of a TLSInnerPlaintext."""
    plaintext = pattern(16384)
    out = bytearray(len(plaintext))
    batch = Opener(key.struct()).open_batch(key.seal(plaintext), out)
    assert (batch.stopped, bytes(out)) == (None, plaintext)


def test_a_full_out_stops_and_the_rest_opens_later(key: TrafficKey) -> None:
    wire = wire_of(key)
    opener = Opener(key.struct())
    batch = opener.open_batch(wire, bytearray(100))
    assert (batch.stopped, batch.error) == ("full", None)
    assert pieces_of(batch) == PIECES[:4]
    assert batch.consumed == ends_of(key)[3]
    assert opener.rec_seq == 4
    rest = opener.open_batch(wire[batch.consumed :], bytearray(4000))
    assert (pieces_of(rest), rest.stopped) == (PIECES[4:], None)


def test_an_out_too_small_for_the_first_record_opens_nothing(key: TrafficKey) -> None:
    out = bytearray(b"\xa5" * 4)
    opener = Opener(key.struct())
    batch = opener.open_batch(wire_of(key), out)
    assert (len(batch), batch.consumed, batch.stopped) == (0, 0, "full")
    assert (opener.rec_seq, bytes(out)) == (0, b"\xa5" * 4)


@pytest.mark.parametrize("start", [0, 1, 50, 119])
def test_out_that_overlaps_the_wire_is_refused(key: TrafficKey, start: int) -> None:
    wire = key.seal(pattern(100))[:120]
    memory = bytearray(wire + bytes(1000))
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EINVAL, out=memory):
        opener.open_batch(memoryview(memory)[:120], memoryview(memory)[start:])


@pytest.mark.parametrize("bad", range(1, len(PIECES)))
def test_a_bad_record_ends_the_batch_after_those_before_it(key: TrafficKey, bad: int) -> None:
    wire, ends = bytearray(wire_of(key)), ends_of(key)
    wire[ends[bad] - 1] ^= 1
    opener = Opener(key.struct())
    batch = opener.open_batch(wire)
    assert pieces_of(batch) == PIECES[:bad]
    assert (batch.stopped, batch.consumed, opener.rec_seq) == ("error", ends[bad - 1], bad)
    assert isinstance(batch.error, BadRecordError)
    assert batch.error.errno == errno.EBADMSG


def test_a_bad_first_record_is_raised(key: TrafficKey) -> None:
    wire = bytearray(wire_of(key))
    wire[ends_of(key)[0] - 1] ^= 1
    opener = Opener(key.struct())
    with open_refused(opener, key, errno.EBADMSG):
        opener.open_batch(wire)


def test_a_bad_record_fails_again_and_later_records_stay_sealed(key: TrafficKey) -> None:
    """docs/kernel-rules.md, S3.2-2: the record stays at the head."""
    wire, ends = bytearray(wire_of(key)), ends_of(key)
    wire[ends[2] - 1] ^= 1
    opener = Opener(key.struct())
    opener.open_batch(wire)
    for _ in range(2):
        with pytest.raises(BadRecordError):
            opener.open_batch(wire[ends[1] :])
        assert opener.rec_seq == 2


@pytest.mark.parametrize(
    ("header", "error", "number"),
    [
        (b"\x17\3\3\xff\xff", RecordTooLargeError, errno.EMSGSIZE),
        (b"UUUUU", RecordTooLargeError, errno.EMSGSIZE),
        (b"\x14\3\3\0\1", BadRecordError, errno.EBADMSG),
        (b"\x17\3\1\0\x40", KtlsError, errno.EINVAL),
        (b"GET /", KtlsError, errno.EINVAL),
    ],
)
def test_a_bad_header_is_reported_before_its_record_is_complete(
    key: TrafficKey, header: bytes, error: type[KtlsError], number: int
) -> None:
    """docs/kernel-rules.md, S3.1; TLS 1.2 with explicit nonce waits for 13 bytes."""
    first = key.seal(b"first")
    batch = Opener(key.struct()).open_batch(first + header + bytes(key.explicit_size))
    assert (len(batch), batch.consumed, batch.stopped) == (1, len(first), "error")
    assert type(batch.error) is error
    assert batch.error.errno == number


def test_an_inner_text_without_type_ends_the_batch(key13: TrafficKey) -> None:
    """docs/kernel-rules.md, S3.2."""
    good = key13.seal(b"good")
    batch = Opener(key13.struct()).open_batch(good + key13.seal_inner(bytes(50), nth=1))
    assert (bytes(batch.data), batch.consumed, batch.stopped) == (b"good", len(good), "error")
    assert isinstance(batch.error, BadRecordError)


def test_swapped_records_are_refused_from_the_first(key: TrafficKey) -> None:
    records = [key.seal(b"data", nth=nth) for nth in (0, 2, 1)]
    batch = Opener(key.struct()).open_batch(b"".join(records))
    assert (len(batch), batch.stopped) == (1, "error")


def test_a_record_twice_is_refused_the_second_time(key: TrafficKey) -> None:
    batch = Opener(key.struct()).open_batch(key.seal(b"data") * 2)
    assert (len(batch), batch.stopped) == (1, "error")


def test_garbage_is_refused(key: TrafficKey) -> None:
    """The header is valid, but the record does not authenticate."""
    body = pattern(500)
    garbage = b"\x17\3\3" + struct.pack(">H", len(body)) + body
    with pytest.raises(BadRecordError):
        Opener(key.struct()).open_batch(garbage)


@pytest.mark.parametrize("size", [1, 16, 100, 1350, 4096, 16384])
@pytest.mark.parametrize("at", ["tag", "first", "middle"])
def test_no_plaintext_of_a_bad_record_is_in_out(key: TrafficKey, size: int, at: str) -> None:
    """The bytes after the data in ``out`` are either zero or unchanged."""
    secret = bytes(byte | 0x80 for byte in pattern(size))
    good, bad = key.seal(b"good"), bytearray(key.seal(secret, nth=1))
    body = 5 + key.explicit_size
    bad[{"tag": -1, "first": body, "middle": body + size // 2}[at]] ^= 0x40
    out = bytearray(b"\x21" * (size + 200))
    batch = Opener(key.struct()).open_batch(good + bad, out)
    assert (bytes(batch.data), batch.stopped) == (b"good", "error")
    assert set(out[4:]) <= {0, 0x21}


def test_no_type_and_padding_is_left_in_out(key13: TrafficKey) -> None:
    """They must not reach the caller either."""
    out = bytearray(b"\x21" * 400)
    Opener(key13.struct()).open_batch(key13.seal(b"good", padding=50), out)
    assert set(out[4:]) <= {0, 0x21}
