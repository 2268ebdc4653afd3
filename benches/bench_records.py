"""Sealing and opening TLS 1.3 records in memory."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from benches.cases import work
from benches.work import RECORDS, plaintext

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benches.work import Case, Work

MIN_ROUNDS, MAX_ROUNDS = 5, 100


def bench_records(case: Case, benchmark: BenchmarkFixture, budget: float) -> None:
    worker = work(case)
    seconds = checked_round(worker, case)
    benchmark.extra_info = {
        "case": case.name,
        "group": f"{case.op}/{case.cipher.name}/{case.size}",
        "impl": case.impl,
        "batch": case.batch,
        "size": case.size,
        "records": RECORDS,
    }
    benchmark.pedantic(
        worker.run,
        setup=worker.reset,
        warmup_rounds=2,
        rounds=min(max(int(budget / seconds), MIN_ROUNDS), MAX_ROUNDS),
    )
    assert worker.plaintext() == plaintext(case.size), f"{case.name}: wrong bytes after the clock"


def checked_round(worker: Work, case: Case) -> float:
    """Do one round before the clock starts, and check it; returns how long it took."""
    start = perf_counter()
    worker.reset()
    worker.run()
    seconds = perf_counter() - start
    assert worker.plaintext() == plaintext(case.size), f"{case.name}: wrong bytes"
    return seconds
