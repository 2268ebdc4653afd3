"""Compares the outcomes with a front door with those of the standard library and the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cpython import doors, runs
from tests.cpython.plan import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.cpython.deviations import Deviation
    from tests.cpython.plan import TestOutcome
    from tests.cpython.runs import Outcomes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run has shown."""

    passed: int
    engine: int
    """The number of tests during which the engine took over a connection."""
    known: list[str]
    """The tests that did not pass, as the table says."""
    excluded: list[str]
    """The tests that have the same outcome with the standard library."""
    wrong: list[str]
    """What has to be mended: in the package, or in the table."""

    def summary(self) -> str:
        """Return the numbers, and the tests that are not counted as wrong."""
        lines = [f"{self.passed} passed, {self.engine} of them through the engine"]
        lines += [f"  known deviation: {test}" for test in self.known]
        lines += [f"  the same with the standard library: {test}" for test in self.excluded]
        return "\n".join(lines)


def judge(
    ours: Outcomes,
    known: Mapping[str, Deviation],
    rerun: Callable[[Sequence[str]], Outcomes],
) -> Verdict:
    """Compare outcomes with the table, and the rest with those of the standard library.

    Only tests that do not pass and are not in the table are run with the standard library, by
    ``rerun``.
    """
    missed = {test: it for test, it in ours.items() if it.outcome is not Outcome.PASSED}
    unknown = [test for test in missed if test not in known]
    baseline = rerun(unknown) if unknown else {}
    excluded = [test for test in unknown if _same(missed[test], baseline.get(test))]
    wrong = [_report(missed[test]) for test in unknown if test not in excluded]
    wrong += [
        f"{test} passes: remove it from the table of deviations"
        for test, it in known.items()
        if not it.sometimes and test in ours and test not in missed
    ]
    passed = [it for it in ours.values() if it.outcome is Outcome.PASSED]
    engine = sum(it.engine > 0 for it in passed)
    return Verdict(len(passed), engine, [it for it in known if it in missed], excluded, wrong)


def rerun_without(door: str) -> Callable[[Sequence[str]], Outcomes]:
    """Return a function that runs tests as they are run without a front door."""

    def rerun(tests: Sequence[str]) -> Outcomes:
        return runs.run(doors.BASELINES[door], [test for test in tests if " " not in test])

    return rerun


def _same(ours: TestOutcome, theirs: TestOutcome | None) -> bool:
    return theirs is not None and theirs.outcome is ours.outcome


def _report(outcome: TestOutcome) -> str:
    return f"{outcome.test} {outcome.outcome}:\n{outcome.detail}"
