"""The clock that times the benches: that of this process, or the work's own."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.bench import BenchWork

_source: Callable[[], float] = perf_counter


def now() -> float:
    """Return the time in seconds. pytest-benchmark calls it before and after each round."""
    return _source()


def follow(work: BenchWork) -> None:
    """Use the clock of ``work`` from now on, or that of this process if it has none."""
    global _source
    _source = getattr(work, "now", perf_counter)
