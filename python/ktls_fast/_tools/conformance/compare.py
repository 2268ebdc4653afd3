"""What two sides make of the same scenario."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from .ends import NotHereError
from .known import KNOWN
from .replay import NOT_REPLAYED, replay
from .sides import Side
from .steps import Outcome, Step
from .time_limit import TimeLimitError, time_limit

__all__ = ["SECONDS", "Comparison", "Difference", "MakeSide", "compare"]

SECONDS = 10.0
"""For each scenario on each side."""

MakeSide: TypeAlias = Callable[[], Side]
Calls: TypeAlias = list[tuple[Step, Outcome]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A call with two results."""

    number: int
    """Counted from 1."""
    call: Step
    ours: Outcome
    theirs: Outcome


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of a scenario."""

    scenario: str
    differences: tuple[Difference, ...] = ()
    not_played: str | None = None
    """Why not."""

    @property
    def known(self) -> str | None:
        """Why it may differ."""
        return KNOWN.get(self.scenario)


def compare(
    scenario: Step, ours: MakeSide, theirs: MakeSide, seconds: float = SECONDS
) -> Comparison:
    """Play ``scenario`` on one side, then on the other; for the main thread only."""
    name = scenario["name"]
    if name in NOT_REPLAYED:
        return Comparison(name, not_played=NOT_REPLAYED[name])
    try:
        pairs = zip(*(_play(scenario, make(), seconds) for make in (ours, theirs)), strict=False)
        differences = tuple(
            Difference(number, call, mine, other)
            for number, ((call, mine), (_, other)) in enumerate(pairs, 1)
            if mine != other
        )
    except NotHereError as error:
        return Comparison(name, not_played=str(error))
    return Comparison(name, differences)


def _play(scenario: Step, side: Side, seconds: float) -> Calls:
    """The results; the last of them may be that there was none in time."""
    calls: Calls = []
    try:
        with closing(replay(scenario, side)) as played, time_limit(seconds):
            calls.extend(played)
    except TimeLimitError:
        calls.append((scenario["steps"][len(calls)], {"err": f"no result within {seconds:g} s"}))
    return calls
