"""The clock of the benches: this process's, or that of work which is done elsewhere."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.bench import Work

_source: Callable[[], float] = perf_counter


def now() -> float:
    """Seconds; pytest-benchmark calls it before and after a round."""
    return _source()


def follow(work: Work) -> None:
    """Time by the clock of the work from now on, if it has one."""
    global _source
    _source = getattr(work, "now", perf_counter)
