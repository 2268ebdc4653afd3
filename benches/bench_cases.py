"""The pytest function that runs every case of every bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches import clock

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from benches.bench import BenchCase, TimeBudget
    from benches.stage import CaseStage

MIN_ROUNDS, MAX_ROUNDS = 2, 200


def bench_case(
    case: BenchCase, pace: TimeBudget, stage: CaseStage, benchmark: BenchmarkFixture
) -> None:
    running = stage.running(case)
    work = running.work
    clock.follow(work)
    benchmark.pedantic(work.run, setup=work.reset, rounds=_rounds(running.seconds, pace))
    measures = work.measures() if hasattr(work, "measures") else {}
    benchmark.extra_info.update(case=case.name, measures=measures)


def _rounds(seconds: float, pace: TimeBudget) -> int:
    """Return the number of rounds that fit the budget, or 1 without a budget."""
    if not pace.budget:
        return 1
    return min(max(int(pace.budget / seconds), MIN_ROUNDS), MAX_ROUNDS)
