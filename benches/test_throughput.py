"""Records in memory as a suite of pytest-benchmark: ``make bench-pytest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.bench import OURS
from benches.records.cases import CIPHERS, WORKERS, RecordWork
from benches.records.work import RecordJob

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.reference import Cipher

IN_PROCESS = (OURS, "cryptography", "python loop", "ssl", "pyOpenSSL")
ROUNDS = 20


@pytest.mark.parametrize("name", IN_PROCESS)
@pytest.mark.parametrize("size", [64, 1400, 16384])
@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
@pytest.mark.parametrize("op", ["seal", "open"])
def test_records(
    benchmark: BenchmarkFixture, op: str, cipher: Cipher, size: int, name: str
) -> None:
    """Seal or open the records of a round, and check every byte afterwards."""
    job = RecordJob(op, cipher, size, batch=1)
    if name == OURS:  # all records of the round in one call; the others take one at a time
        job = RecordJob(op, cipher, size, batch=job.records)
    _, sealing, opening = WORKERS[name]
    work = RecordWork(job, sealing(job) if op == "seal" else opening(job))
    benchmark.group = f"{op} {cipher.name}, records of {size} bytes"
    benchmark.pedantic(work.run, setup=work.reset, rounds=ROUNDS, warmup_rounds=1)
    work.check()
    work.close()
    if benchmark.stats is not None:  # with --benchmark-disable there are none
        per_second = job.records * job.size / benchmark.stats.stats.median
        benchmark.extra_info["MB_per_s"] = round(1e-6 * per_second)
