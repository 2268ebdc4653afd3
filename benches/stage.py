"""The cases of a group, which are set up and checked once for all their turns."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.bench import Case, Work


@dataclass(frozen=True, slots=True)
class Player:
    """A case that is set up, with the approximate duration of a round."""

    work: Work
    seconds: float


class Stage:
    """The holder of the work of the current group, which is closed before the next group starts.

    Each case is checked before its first turn and after its last.
    """

    def __init__(self) -> None:
        self._group = ""
        self._players: dict[str, Player] = {}
        self._ends = ExitStack()

    def player(self, case: Case) -> Player:
        """Return the case with its work, which is set up and checked on first use."""
        if case.group != self._group:
            self.clear()
            self._group = case.group
        if case.name not in self._players:
            assert case.start is not None, f"{case.name} is missing: {case.missing}"
            work = case.start()
            self._ends.callback(work.close)
            self._players[case.name] = Player(work, _checked_round(work))
            self._ends.callback(work.check)
        return self._players[case.name]

    def clear(self) -> None:
        """Check the last rounds, and close all work."""
        self._players.clear()
        self._ends.close()


def _checked_round(work: Work) -> float:
    """Perform and check a round before the measurement; return its duration in seconds."""
    work.reset()
    start = perf_counter()
    work.run()
    seconds = perf_counter() - start
    work.check()
    return seconds
