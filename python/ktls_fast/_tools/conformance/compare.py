"""Comparison of the results of two sides for the same scenario."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from .ends import UnsupportedSocketsError
from .known import KNOWN
from .replay import NOT_REPLAYED, replay
from .sides import ComparedSide
from .steps import CallResult, Step
from .time_limit import TimeLimitError, time_limit

__all__ = ["SECONDS", "CallDifference", "MakeSide", "ScenarioComparison", "compare"]

SECONDS = 10.0
"""Default time limit of a scenario on each side."""

MakeSide: TypeAlias = Callable[[], ComparedSide]
Calls: TypeAlias = list[tuple[Step, CallResult]]


@dataclass(frozen=True, slots=True)
class CallDifference:
    """A call with different results on the two sides."""

    number: int
    """The number of the call, counted from 1."""
    call: Step
    ours: CallResult
    theirs: CallResult


@dataclass(frozen=True, slots=True)
class ScenarioComparison:
    """The result of comparing a scenario on two sides."""

    scenario: str
    differences: tuple[CallDifference, ...] = ()
    not_played: str | None = None
    """The reason why the scenario was not played, or None."""

    @property
    def known(self) -> str | None:
        """The reason why the scenario may differ, or None."""
        return KNOWN.get(self.scenario)


def compare(
    scenario: Step, ours: MakeSide, theirs: MakeSide, seconds: float = SECONDS
) -> ScenarioComparison:
    """Play ``scenario`` on one side and then on the other, and return the differences.

    Only the main thread may call it, as the time limit uses SIGALRM.
    """
    name = scenario["name"]
    if name in NOT_REPLAYED:
        return ScenarioComparison(name, not_played=NOT_REPLAYED[name])
    try:
        pairs = zip(*(_play(scenario, make(), seconds) for make in (ours, theirs)), strict=False)
        differences = tuple(
            CallDifference(number, call, mine, other)
            for number, ((call, mine), (_, other)) in enumerate(pairs, 1)
            if mine != other
        )
    except UnsupportedSocketsError as error:
        return ScenarioComparison(name, not_played=str(error))
    return ScenarioComparison(name, differences)


def _play(scenario: Step, side: ComparedSide, seconds: float) -> Calls:
    """Return the calls with their results; the last result may be that the time was over."""
    calls: Calls = []
    try:
        with closing(replay(scenario, side)) as played, time_limit(seconds):
            calls.extend(played)
    except TimeLimitError:
        calls.append((scenario["steps"][len(calls)], {"err": f"no result within {seconds:g} s"}))
    return calls
