"""Batches whose output is huge: its memory is used again, and shows nothing of its past."""

import gc

import numpy as np
import pytest

from ktls_fast import Opener, SealedBatch, Sealer
from tests.reference import AES_GCM_128, TLS13, traffic_key

KEY = traffic_key(TLS13, AES_GCM_128)
HUGE = 33 << 20
DATA = bytes(range(256)) * (HUGE // 256)


def address(batch: SealedBatch) -> int:
    """Return the address of the wire."""
    return int(np.frombuffer(batch.wire, np.uint8).ctypes.data)


def test_a_huge_batch_equals_one_with_an_output_buffer() -> None:
    out = bytearray(len(DATA) + 22 * (len(DATA) // 16384 + 1))
    batch = Sealer(KEY.struct()).seal_batch(DATA)
    into = Sealer(KEY.struct()).seal_batch(DATA, out=out)
    assert batch.wire == into.wire
    assert Opener(KEY.struct()).open_batch(batch.wire).data == DATA


def test_the_memory_of_a_huge_batch_is_reused_after_its_last_view() -> None:
    sealer = Sealer(KEY.struct())
    first = sealer.seal_batch(DATA)
    second = sealer.seal_batch(DATA)
    assert address(first) != address(second)
    places, kept = {address(first), address(second)}, bytes(first.wire[:1000])
    view = first.wire
    del first, second
    gc.collect()
    third = sealer.seal_batch(DATA)
    assert address(third) in places
    assert view[:1000] == kept


def test_a_shorter_batch_shows_no_bytes_of_the_longer_one_before() -> None:
    sealed = bytes(Sealer(KEY.struct()).seal_batch(DATA + DATA[: 8 << 20]).wire)
    batch = Sealer(KEY.struct()).seal_batch(bytes(HUGE))
    whole = memoryview(batch.wire.obj)
    assert len(whole) == len(batch.wire) < len(sealed)


def test_a_huge_output_is_read_only() -> None:
    wire = Sealer(KEY.struct()).seal_batch(DATA).wire
    assert wire.readonly
    with pytest.raises(TypeError):
        wire[0] = 0
