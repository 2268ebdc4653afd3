"""Reports from the JSON of a run: the cost of each case, and comparisons."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from benches.bench import SECONDS, CaseRole

if TYPE_CHECKING:
    from pathlib import Path

    from benches.bench import Bench, BenchCase

Turns = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A case with the measures of each of its turns."""

    case: BenchCase
    turns: dict[str, Turns]

    def measure(self, name: str = SECONDS) -> float:
        """Return the median over the turns, for a round."""
        return median(self.turns[name])

    def per(self, unit: str, name: str = SECONDS) -> float:
        """Return the median over the turns, for one ``unit``."""
        return self.measure(name) / self.case.units[unit]

    def cost(self, name: str) -> Turns:
        """Return the measure of each turn, for one of the case's first unit."""
        unit = next(iter(self.case.units))
        return tuple(value / self.case.units[unit] for value in self.turns[name])

    def times_as_good_as(self, other: ReportRow, name: str = SECONDS) -> float:
        """Return how many times better this row is than ``other``, as the median over the turns.

        Turns are compared one by one, since the speed of the machine drifts.
        """
        pairs = zip(self.cost(name), other.cost(name), strict=True)
        return median(theirs / mine for mine, theirs in pairs if mine)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The rows of a run, and all cases including the missing ones."""

    bench: Bench
    quick: bool
    rows: dict[str, ReportRow]
    cases: tuple[BenchCase, ...]

    def others(self, row: ReportRow, role: CaseRole) -> list[ReportRow]:
        """Return the rows of the same group that have ``role``."""
        return [
            other
            for other in self.rows.values()
            if other.case.group == row.case.group and other.case.role is role
        ]

    def against(self, row: ReportRow, role: CaseRole, name: str = SECONDS) -> float | None:
        """Return the ratio of the row to the best one with ``role``, or None without one."""
        ratios = [row.times_as_good_as(other, name) for other in self.others(row, role)]
        return min(ratios, default=None)

    def find(self, group: str, series: str) -> ReportRow | None:
        """Return the row of a group by its series, or None."""
        return self.rows.get(f"{group}/{series}")


def read(bench: Bench, path: Path, *, quick: bool) -> BenchReport:
    """Read the report of a run, in the order of its cases."""
    turns: dict[str, list[Any]] = defaultdict(list)
    for entry in json.loads(path.read_text())["benchmarks"]:
        turns[entry["extra_info"]["case"]].append(entry)
    cases = tuple(case for group in bench.groups(quick) for case in group)
    rows = {case.name: _row(case, turns[case.name]) for case in cases if not case.missing}
    return BenchReport(bench, quick, rows, cases)


def _row(case: BenchCase, entries: list[Any]) -> ReportRow:
    measures = [
        {SECONDS: entry["stats"]["median"], **entry["extra_info"]["measures"]} for entry in entries
    ]
    return ReportRow(case, {name: tuple(turn[name] for turn in measures) for name in measures[0]})
