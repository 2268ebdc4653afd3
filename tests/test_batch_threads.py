"""``threads=``: a batch that several threads work on ends as one that the caller works on alone."""

import errno

import numpy as np
import pytest

from ktls_fast import KtlsError, OpenedBatch, Opener, Sealer, key_update_message
from tests.reference import TLS13, TrafficKey, pattern
from tests.refusal import open_refused, seal_refused

DATA = pattern(300_000)
KEY_UPDATE = key_update_message()
THREADS = [2, 3, 7, 1024]


def sealed(key: TrafficKey, data: bytes = DATA, record_size: int = 1000) -> bytes:
    return bytes(Sealer(key.struct()).seal_batch(data, record_size=record_size).wire)


def all_of(batch: OpenedBatch) -> tuple[object, ...]:
    columns = (batch.types, batch.offsets, batch.lengths)
    lists = tuple(column.tolist() for column in columns)
    return (bytes(batch.data), *lists, batch.consumed, batch.stopped, repr(batch.error))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("record_size", [1000, 16384])
def test_a_batch_sealed_by_threads_equals_one_sealed_by_one_thread(
    key: TrafficKey, threads: int, record_size: int
) -> None:
    sealer, alone = Sealer(key.struct()), Sealer(key.struct())
    for _ in range(2):
        batch = sealer.seal_batch(DATA, record_size=record_size, threads=threads)
        want = alone.seal_batch(DATA, record_size=record_size)
        assert bytes(batch.wire) == bytes(want.wire)
        assert batch.lengths.tolist() == want.lengths.tolist()
    assert sealer.rec_seq == alone.rec_seq


def test_uneven_pieces_with_types_are_sealed_by_threads(key: TrafficKey) -> None:
    lengths = np.arange(200, dtype=np.int64) * 7 % 900
    offsets = np.cumsum(lengths) - lengths
    types = (np.arange(200) % 4 + 20).astype(np.uint8)
    batches = [
        Sealer(key.struct()).seal_batch(
            DATA, offsets=offsets, lengths=lengths, types=types, threads=threads
        )
        for threads in (1, 4)
    ]
    alone, together = (bytes(batch.wire) for batch in batches)
    assert together == alone


@pytest.mark.parametrize("threads", THREADS)
def test_a_batch_opened_by_threads_equals_one_opened_by_one_thread(
    key: TrafficKey, threads: int
) -> None:
    wire = sealed(key) + b"\x17\x03"
    want = all_of(Opener(key.struct()).open_batch(wire))
    opener = Opener(key.struct())
    assert all_of(opener.open_batch(wire, threads=threads)) == want
    assert opener.rec_seq == 300


def test_threads_stop_at_a_key_update_and_open_nothing_after_it(key: TrafficKey) -> None:
    if key.version != TLS13:
        pytest.skip("TLS 1.2 has no KeyUpdate")
    sealer = Sealer(key.struct())
    before = bytes(sealer.seal_batch(DATA[:90_000], record_size=1000).wire)
    update = sealer.seal(KEY_UPDATE, record_type=22)
    behind = bytes(sealer.seal_batch(DATA, record_size=1000).wire)
    wire = before + update + behind
    opener, out = Opener(key.struct()), bytearray(len(wire))
    batch = opener.open_batch(wire, out, threads=3)
    assert (len(batch), batch.stopped, batch.consumed) == (91, "key_update", len(before + update))
    assert (opener.paused, opener.rec_seq) == (True, 91)
    assert out == DATA[:90_000] + KEY_UPDATE + bytes(len(wire) - 90_005)


@pytest.mark.parametrize("bad", [0, 1, 15, 16, 150, 299])
def test_threads_stop_at_a_bad_record(key: TrafficKey, bad: int) -> None:
    wire = bytearray(sealed(key))
    wire[(bad + 1) * (1000 + key.overhead) - 1] ^= 1
    alone, together = Opener(key.struct()), Opener(key.struct())
    if bad == 0:
        with open_refused(together, key, errno.EBADMSG):
            together.open_batch(wire, threads=4)
        return
    out = bytearray(len(wire))
    batch = together.open_batch(wire, out, threads=4)
    assert all_of(batch) == all_of(alone.open_batch(wire))
    assert (len(batch), together.rec_seq) == (bad, bad)
    assert not any(out[1000 * bad :])


@pytest.mark.parametrize("bad", [511, 512, 513, 4000, None])
def test_a_batch_of_many_windows_is_opened_alike_by_any_number_of_threads(
    key: TrafficKey, bad: int | None
) -> None:
    wire = bytearray(sealed(key, DATA[:50_000], 10))
    if bad is not None:
        wire[(bad + 1) * (10 + key.overhead) - 1] ^= 1
    alone, together = (Opener(key.struct()).open_batch(wire, threads=threads) for threads in (1, 2))
    assert len(together) == (5000 if bad is None else bad)
    assert all_of(together) == all_of(alone)


@pytest.mark.parametrize("room", [0, 999, 1000, 20_000, 299_999])
def test_threads_stop_at_the_end_of_the_output(key: TrafficKey, room: int) -> None:
    wire = sealed(key)
    alone, together = (
        Opener(key.struct()).open_batch(wire, bytearray(room), threads=threads)
        for threads in (1, 4)
    )
    assert all_of(together) == all_of(alone)


@pytest.mark.parametrize("threads", [0, 1025])
def test_only_one_to_1024_threads_are_accepted(key: TrafficKey, threads: int) -> None:
    sealer, opener, wire = Sealer(key.struct()), Opener(key.struct()), sealed(key)
    with seal_refused(sealer, key, errno.EINVAL):
        sealer.seal_batch(DATA, threads=threads)
    with open_refused(opener, key, errno.EINVAL):
        opener.open_batch(wire, threads=threads)
    with pytest.raises(KtlsError, match=f"{threads} threads are not 1 to 1024"):
        sealer.seal_batch(DATA, threads=threads)
