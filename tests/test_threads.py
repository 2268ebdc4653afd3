"""Threads: the GIL is released, and one object may be used by many."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from cryptography.exceptions import InvalidTag

from ktls_fast import KtlsError, Opener, Sealer
from tests.reference import AES_GCM_128, TLS13, TrafficKey, pattern, traffic_key

WORKERS = 4
BIG = bytes(1 << 20)
CHANCES = 10.0
"""Seconds of calls in which the other thread gets a processor, however busy all are."""


def in_threads(work: Callable[[int], list[bytes]]) -> list[list[bytes]]:
    """``work(0)`` … ``work(WORKERS - 1)``, all begun at the same moment."""
    barrier = threading.Barrier(WORKERS, timeout=20)

    def begin(worker: int) -> list[bytes]:
        barrier.wait()
        return work(worker)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(begin, range(WORKERS)))


def number_of(key: TrafficKey, record: bytes, count: int) -> int:
    """Return the number that ``record`` was sealed with, which is the one that opens it."""
    for number in range(count):
        try:
            key.open(record, nth=number)
        except InvalidTag:
            continue
        return number
    pytest.fail(f"no number below {count} opens the record")


@pytest.fixture
def no_forced_switches() -> Iterator[None]:
    """Make threads keep the GIL until they release it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval)


def test_sealers_of_several_threads_are_independent(key: TrafficKey) -> None:
    keys = [traffic_key(key.version, key.cipher, seed) for seed in range(WORKERS)]

    def seal(worker: int) -> list[bytes]:
        sealer = Sealer(keys[worker].struct())
        return [sealer.seal(pattern(size)) for size in range(0, 4096, 128)]

    for worker, records in enumerate(in_threads(seal)):
        sizes = range(0, 4096, 128)
        assert records == [
            keys[worker].seal(pattern(size), nth=nth) for nth, size in enumerate(sizes)
        ]


@pytest.mark.parametrize("size", [10, 5000])
def test_a_shared_sealer_uses_each_number_once(key: TrafficKey, size: int) -> None:
    """Below and above the size from which the GIL is released."""
    sealer = Sealer(key.struct())
    each = 12
    records = list(chain(*in_threads(lambda _: [sealer.seal(bytes(size)) for _ in range(each)])))
    numbers = sorted(number_of(key, record, len(records)) for record in records)
    assert numbers == list(range(WORKERS * each))
    assert sealer.rec_seq == WORKERS * each


def test_a_batch_of_a_shared_sealer_has_consecutive_numbers(key: TrafficKey) -> None:
    sealer = Sealer(key.struct())
    count = 6

    def seal(_worker: int) -> list[bytes]:
        batch = sealer.seal_batch(bytes(3000 * count), record_size=3000)
        size = len(batch.wire) // count
        return [bytes(batch.wire[at : at + size]) for at in batch.offsets]

    starts = []
    for records in in_threads(seal):
        numbers = [number_of(key, record, WORKERS * count) for record in records]
        assert numbers == list(range(numbers[0], numbers[0] + count))
        starts.append(numbers[0])
    assert sorted(starts) == list(range(0, WORKERS * count, count))


def test_a_record_is_opened_by_one_thread_only(key: TrafficKey) -> None:
    """If several threads open the same record, one gets it; for the others it is a replay."""
    opener = Opener(key.struct())
    record = key.seal(bytes(5000))

    def open_it(_worker: int) -> list[bytes]:
        try:
            return [opener.open(record)[1]]
        except KtlsError:
            return []

    assert list(chain(*in_threads(open_it))) == [bytes(5000)]
    assert opener.rec_seq == 1


def test_the_record_limit_holds_across_threads(key: TrafficKey) -> None:
    sealer = Sealer(key.struct(), record_limit=10)

    def seal(_worker: int) -> list[bytes]:
        records = []
        for _ in range(10):
            try:
                records.append(sealer.seal(bytes(3000)))
            except KtlsError:
                break
        return records

    assert len(list(chain(*in_threads(seal)))) == sealer.rec_seq == 10


def other_thread_runs_during(call: Callable[[], object], seconds: float = CHANCES) -> bool:
    """Return True if a thread that waits for the GIL gets it during one of many calls.

    The caller forbids forced switches, so that only ``call`` itself can release the GIL.
    """
    go, ran = threading.Event(), threading.Event()

    def wait_and_run() -> None:
        if go.wait(20):
            ran.set()

    other = threading.Thread(target=wait_and_run, daemon=True)
    other.start()
    go.set()
    end = time.monotonic() + seconds
    while not ran.is_set() and time.monotonic() < end:
        call()
    happened = ran.is_set()
    other.join(20)
    return happened


@pytest.mark.usefixtures("no_forced_switches")
def test_the_proof_below_fails_for_a_call_that_keeps_the_gil() -> None:
    assert not other_thread_runs_during(lambda: hash(BIG[:1000]), seconds=0.1)


@pytest.mark.usefixtures("no_forced_switches")
def test_sealing_a_batch_releases_the_gil() -> None:
    sealer = Sealer(traffic_key(TLS13, AES_GCM_128).struct())
    out = bytearray(len(BIG) + 64 * sealer.overhead)
    assert other_thread_runs_during(lambda: sealer.seal_batch(BIG, out=out))


@pytest.mark.usefixtures("no_forced_switches")
def test_opening_a_batch_releases_the_gil() -> None:
    key = traffic_key(TLS13, AES_GCM_128)
    wire = Sealer(key.struct()).seal_batch(BIG).wire
    out = bytearray(len(wire))
    assert other_thread_runs_during(lambda: Opener(key.struct()).open_batch(wire, out))


@pytest.mark.usefixtures("no_forced_switches")
def test_sealing_one_long_record_releases_the_gil() -> None:
    sealer = Sealer(traffic_key(TLS13, AES_GCM_128).struct())
    out = bytearray(20_000)
    assert other_thread_runs_during(lambda: sealer.seal_into(BIG[:16384], out))
