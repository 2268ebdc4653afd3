"""The one bench function: every case of every table goes through here."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from benches import clock

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benches.bench import Case, Pace, Work
    from benches.stage import Stage

MIN_ROUNDS, MAX_ROUNDS = 2, 200


def bench_case(case: Case, pace: Pace, stage: Stage, benchmark: BenchmarkFixture) -> None:
    work = stage.work(case)
    rounds = _rounds(_checked_round(work), pace) if pace.budget else 1
    clock.follow(work)
    benchmark.pedantic(work.run, setup=work.reset, rounds=rounds)
    work.check()
    measures = work.measures() if hasattr(work, "measures") else {}
    benchmark.extra_info.update(case=case.name, measures=measures)


def _rounds(seconds: float, pace: Pace) -> int:
    return min(max(int(pace.budget / seconds), MIN_ROUNDS), MAX_ROUNDS)


def _checked_round(work: Work) -> float:
    """Do one round before the clock starts, and check it; returns how long it took."""
    work.reset()
    start = perf_counter()
    work.run()
    seconds = perf_counter() - start
    work.check()
    return seconds
