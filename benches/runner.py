"""The run of a bench: its cases take turns, and the rounds of each turn are timed."""

from __future__ import annotations

import faulthandler
import gc
import statistics
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from benches import machine
from benches.stage import CaseStage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benches.bench import Bench, BenchCase, BenchWork, TimeBudget

MIN_ROUNDS, MAX_ROUNDS = 2, 200
PATIENCE: Final = 600
"""Seconds after which a turn that hangs ends the process."""


def run(bench: Bench, *, quick: bool) -> dict[str, Any]:
    """Run all cases, and return what is written as JSON: the machine, and an entry for each turn.

    :raises AssertionError: the result of a case is wrong.
    """
    pace = bench.quick if quick else bench.pace
    turns = list(_turns(bench, pace, quick=quick))
    stage = CaseStage()
    try:
        entries = []
        for nth, case in enumerate(turns, 1):
            _show_progress(f"{bench.name} {nth}/{len(turns)} {case.name[:60]}")
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            entries.append(_turn(case, stage, pace))
    finally:
        faulthandler.cancel_dump_traceback_later()
        _show_progress("")
        stage.clear()
    return {"machine_info": {"ktls_fast_benches": machine.facts()}, "benchmarks": entries}


def _turns(bench: Bench, pace: TimeBudget, *, quick: bool) -> Iterator[BenchCase]:
    """Yield the cases of a group in turns, back and forth, so that a drift affects all of them."""
    for group in bench.groups(quick):
        for turn in range(pace.turns):
            for case in group[::-1] if turn % 2 else group:
                if not case.missing:
                    yield case


def _turn(case: BenchCase, stage: CaseStage, pace: TimeBudget) -> dict[str, Any]:
    """Time the rounds of a turn, and return its entry."""
    running = stage.running(case)
    work = running.work
    times = [_timed_round(work) for _ in range(_rounds(running.seconds, pace))]
    measures = work.measures() if hasattr(work, "measures") else {}
    return {
        "name": case.name,
        "extra_info": {"case": case.name, "measures": measures},
        "stats": {
            "min": min(times),
            "max": max(times),
            "mean": statistics.fmean(times),
            "stddev": statistics.stdev(times) if len(times) > 1 else 0,
            "median": statistics.median(times),
            "rounds": len(times),
        },
    }


def _timed_round(work: BenchWork) -> float:
    """Return the seconds of a round by the clock of the work, or by ours if it has none."""
    now = getattr(work, "now", perf_counter)
    work.reset()
    gc.disable()
    try:
        start = now()
        work.run()
        return float(now() - start)
    finally:
        gc.enable()


def _rounds(seconds: float, pace: TimeBudget) -> int:
    """Return the number of rounds that fit the budget, or 1 without a budget."""
    if not pace.budget:
        return 1
    return min(max(int(pace.budget / seconds), MIN_ROUNDS), MAX_ROUNDS)


def _show_progress(text: str) -> None:
    """Replace the progress line, if standard error is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
