"""The cases of one group, set up and checked once for all their turns."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.bench import Case, Work


@dataclass(frozen=True, slots=True)
class Player:
    """A case at work, and how long a round of it takes about."""

    work: Work
    seconds: float


class Stage:
    """Holds the work of the group that has its turns; the next group begins when it has ended.

    Each is checked before its first turn and after its last.
    """

    def __init__(self) -> None:
        self._group = ""
        self._players: dict[str, Player] = {}
        self._ends = ExitStack()

    def player(self, case: Case) -> Player:
        """The case at work, set up and checked when it is seen first."""
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
        """Check what the last rounds did, and end all work."""
        self._players.clear()
        self._ends.close()


def _checked_round(work: Work) -> float:
    """Do one round before the clock starts, and check it; returns how long it took."""
    work.reset()
    start = perf_counter()
    work.run()
    seconds = perf_counter() - start
    work.check()
    return seconds
