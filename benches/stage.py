"""The cases of a group, which are set up and checked once for all their turns."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.bench import BenchCase, BenchWork


@dataclass(frozen=True, slots=True)
class RunningCase:
    """A case that is set up, with the approximate duration of a round."""

    work: BenchWork
    seconds: float


class CaseStage:
    """The holder of the work of the current group, which is closed before the next group starts.

    Each case is checked before its first turn and after its last.
    """

    def __init__(self) -> None:
        self._group = ""
        self._running: dict[str, RunningCase] = {}
        self._ends = ExitStack()

    def running(self, case: BenchCase) -> RunningCase:
        """Return the case with its work, which is set up and checked on first use."""
        if case.group != self._group:
            self.clear()
            self._group = case.group
        if case.name not in self._running:
            assert case.start is not None, f"{case.name} is missing: {case.missing}"
            work = case.start()
            self._ends.callback(work.close)
            self._running[case.name] = RunningCase(work, _checked_round(work))
            self._ends.callback(work.check)
        return self._running[case.name]

    def clear(self) -> None:
        """Check the last rounds, and close all work."""
        self._running.clear()
        self._ends.close()


def _checked_round(work: BenchWork) -> float:
    """Perform and check a round before the measurement; return its duration in seconds."""
    work.reset()
    start = perf_counter()
    work.run()
    seconds = perf_counter() - start
    work.check()
    return seconds
