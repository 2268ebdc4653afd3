"""Random keys, numbers, types, lengths and padding: ours against the model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast import BadRecordError, KtlsError, Opener, Sealer
from tests.reference import (
    CHACHA20_POLY1305,
    CIPHERS,
    HANDSHAKE,
    MAX_PLAINTEXT,
    SEQ_MODULUS,
    TLS13,
    TrafficKey,
    pattern,
)

TEXT = pattern(2 * MAX_PLAINTEXT)
LAST = SEQ_MODULUS - 1
EDGES = [0, 1, 15, 16, 17, 255, 256, 1023, 1024, 1025, 4096, 16383, 16384]


@dataclass(frozen=True, slots=True)
class Plain:
    """What one record carries."""

    data: bytes
    record_type: int
    padding: int


sizes = st.one_of(st.sampled_from(EDGES), st.integers(0, 300), st.integers(0, MAX_PLAINTEXT))
numbers = st.one_of(
    st.integers(0, 300),
    st.integers(0, LAST - 100),
    st.sampled_from([255, 2**16 - 2, 2**32 - 2, 2**63 - 2, LAST - 20]),
)
FEWEST_RECORDS = 2**23
"""The lowest of the AEAD limits, that of AES-CCM."""
MOST_RECORDS = 3000
"""Records of a test: one byte each."""


@st.composite
def traffic_keys(draw: st.DrawFn) -> TrafficKey:
    """Any key of any cipher and version; at least 20 numbers are left."""
    cipher = draw(st.sampled_from(CIPHERS))
    return TrafficKey(
        draw(st.sampled_from(cipher.versions)),
        cipher,
        key=draw(st.binary(min_size=cipher.key_size, max_size=cipher.key_size)),
        iv=draw(st.binary(min_size=cipher.iv_size, max_size=cipher.iv_size)),
        salt=draw(st.binary(min_size=cipher.salt_size, max_size=cipher.salt_size)),
        rec_seq=draw(numbers),
    )


@st.composite
def plains(draw: st.DrawFn) -> Plain:
    """Any plaintext and type but handshake, which may be a KeyUpdate; padding that still fits."""
    size, start = draw(sizes), draw(st.integers(0, 255))
    record_type = draw(st.integers(1, 255).filter(lambda each: each != HANDSHAKE))
    padding = draw(st.one_of(st.just(0), st.integers(0, MAX_PLAINTEXT - size)))
    return Plain(TEXT[start : start + size], record_type, padding)


@st.composite
def sealing_keys(draw: st.DrawFn) -> TrafficKey:
    """Draw traffic keys with enough record numbers left for a test."""
    key = draw(traffic_keys())
    end = LAST if key.cipher is CHACHA20_POLY1305 else FEWEST_RECORDS
    return key.at(key.rec_seq % (end - MOST_RECORDS))


plain_lists = st.lists(plains(), max_size=6)


def padding_of(key: TrafficKey, plain: Plain) -> int:
    return plain.padding if key.version == TLS13 else 0


def wire_of(key: TrafficKey, plain_list: list[Plain]) -> list[bytes]:
    """Draw the records of a sender that may pad."""
    return [
        key.seal(plain.data, plain.record_type, nth=nth, padding=padding_of(key, plain))
        for nth, plain in enumerate(plain_list)
    ]


def columns_of(plain_list: list[Plain]) -> dict[str, Any]:
    """Offsets, lengths and types of the plaintexts joined."""
    lengths = np.array([len(plain.data) for plain in plain_list], np.int64)
    return {
        "offsets": np.cumsum(lengths, dtype=np.int64) - lengths,
        "lengths": lengths,
        "types": np.array([plain.record_type for plain in plain_list], np.uint8),
    }


@given(sealing_keys(), plain_lists)
def test_sealed_records_equal_those_of_the_model(key: TrafficKey, plain_list: list[Plain]) -> None:
    sealer = Sealer(key.struct())
    for nth, plain in enumerate(plain_list):
        sealed = sealer.seal(plain.data, plain.record_type)
        assert sealed == key.seal(plain.data, plain.record_type, nth=nth)


@given(sealing_keys(), plain_lists)
def test_seal_into_equals_seal(key: TrafficKey, plain_list: list[Plain]) -> None:
    into, fresh = Sealer(key.struct()), Sealer(key.struct())
    out = bytearray(MAX_PLAINTEXT + key.overhead)
    for plain in plain_list:
        length = into.seal_into(plain.data, out, plain.record_type)
        assert out[:length] == fresh.seal(plain.data, plain.record_type)


@given(sealing_keys(), plain_lists)
def test_seal_batch_equals_one_by_one(key: TrafficKey, plain_list: list[Plain]) -> None:
    data = b"".join(plain.data for plain in plain_list)
    batching, single = Sealer(key.struct()), Sealer(key.struct())
    batch = batching.seal_batch(data, **columns_of(plain_list))
    records = [single.seal(plain.data, plain.record_type) for plain in plain_list]
    assert batch.wire == b"".join(records)
    assert list(batch.lengths) == [len(record) for record in records]
    assert batching.rec_seq == single.rec_seq


@given(sealing_keys(), st.binary(max_size=MOST_RECORDS), st.integers(1, MOST_RECORDS + 1))
def test_a_cut_buffer_equals_its_pieces(key: TrafficKey, data: bytes, record_size: int) -> None:
    single = Sealer(key.struct())
    pieces = [data[i : i + record_size] for i in range(0, len(data), record_size)]
    batch = Sealer(key.struct()).seal_batch(data, record_size=record_size)
    assert batch.wire == b"".join(single.seal(piece) for piece in pieces)


@given(traffic_keys(), plain_lists)
def test_records_of_the_model_open(key: TrafficKey, plain_list: list[Plain]) -> None:
    opener = Opener(key.struct())
    for record, plain in zip(wire_of(key, plain_list), plain_list, strict=True):
        assert opener.open(record) == (plain.record_type, plain.data)


@given(traffic_keys(), plain_lists)
def test_open_batch_equals_one_by_one(key: TrafficKey, plain_list: list[Plain]) -> None:
    records = wire_of(key, plain_list)
    batching, single = Opener(key.struct()), Opener(key.struct())
    batch = batching.open_batch(b"".join(records))
    opened = [single.open(record) for record in records]
    assert list(batch.types) == [record_type for record_type, _ in opened]
    assert list(batch.lengths) == [len(data) for _, data in opened]
    assert batch.data == b"".join(data for _, data in opened)
    assert batching.rec_seq == single.rec_seq


@given(traffic_keys(), plain_lists, st.data())
def test_open_batch_in_pieces_equals_one_call(
    key: TrafficKey, plain_list: list[Plain], data: st.DataObject
) -> None:
    wire = b"".join(wire_of(key, plain_list))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    opener = Opener(key.struct())
    start, opened = 0, b""
    for end in [*cuts, len(wire)]:
        batch = opener.open_batch(wire[start:end])
        start += batch.consumed
        opened += batch.data
    assert (opened, start) == (b"".join(plain.data for plain in plain_list), len(wire))


@given(sealing_keys(), plain_lists)
def test_sealed_records_can_be_opened(key: TrafficKey, plain_list: list[Plain]) -> None:
    data = b"".join(plain.data for plain in plain_list)
    sealed = Sealer(key.struct()).seal_batch(data, **columns_of(plain_list))
    opened = Opener(key.struct()).open_batch(sealed.wire)
    assert opened.data == data
    assert list(opened.types) == [plain.record_type for plain in plain_list]


@given(traffic_keys(), st.lists(plains(), min_size=1, max_size=4), st.data())
def test_one_changed_byte_makes_its_record_bad_and_none_before(
    key: TrafficKey, plain_list: list[Plain], data: st.DataObject
) -> None:
    records = wire_of(key, plain_list)
    bad = data.draw(st.integers(0, len(records) - 1))
    at = data.draw(st.integers(5, len(records[bad]) - 1))
    flip = data.draw(st.integers(1, 255))
    spoilt = bytearray(records[bad])
    spoilt[at] ^= flip
    opener = Opener(key.struct())
    assert len(opener.open_batch(b"".join(records[:bad]))) == bad
    with pytest.raises(BadRecordError):
        opener.open_batch(bytes(spoilt) + b"".join(records[bad + 1 :]))
    assert opener.open(records[bad])[1] == plain_list[bad].data


@given(traffic_keys(), st.binary(max_size=200), st.binary(max_size=100))
def test_garbage_after_a_record_never_opens(key: TrafficKey, junk: bytes, body: bytes) -> None:
    """Open the bytes as they are, and as the body of a matching header."""
    header = b"\x17\3\3" + len(body).to_bytes(2, "big")
    for garbage in (junk, header + body, header + body + junk):
        opener = Opener(key.struct())
        batch = opener.open_batch(key.seal(b"good") + garbage)
        assert (bytes(batch.data), opener.rec_seq) == (b"good", key.rec_seq + 1)
        assert batch.stopped in (None, "error")
        assert isinstance(batch.error, KtlsError) == (batch.stopped == "error")
