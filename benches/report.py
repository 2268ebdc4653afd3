"""From pytest-benchmark's JSON to the table: what a record costs, and against the best peer."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from benches.cases import CEILING, OURS

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ("case", "ns_per_record", "mb_per_s", "vs_best_peer")


@dataclass(frozen=True, slots=True)
class Row:
    """One case: the median time of a record in each of its turns, in nanoseconds."""

    case: str
    group: str
    impl: str
    batch: int
    size: int
    turns: tuple[float, ...]

    @property
    def ns_per_record(self) -> float:
        """The median of the turns."""
        return median(self.turns)

    @property
    def mb_per_s(self) -> float:
        """Plaintext throughput."""
        return self.size / self.ns_per_record * 1000

    def times_as_fast_as(self, other: Row) -> float:
        """Compare turn by turn, since the machine's speed drifts, and take the median."""
        return median(theirs / mine for mine, theirs in zip(self.turns, other.turns, strict=True))

    def times_as_fast_as_best(self, rows: list[Row]) -> float:
        """Compare with the fastest peer of the group; the ceiling is no peer."""
        return min(
            self.times_as_fast_as(row)
            for row in rows
            if row.group == self.group and row.impl not in {OURS, CEILING}
        )


def read(path: Path) -> list[Row]:
    """The cases of a run, in its order."""
    turns: dict[str, list[Any]] = defaultdict(list)
    for entry in json.loads(path.read_text())["benchmarks"]:
        turns[entry["extra_info"]["case"]].append(entry)
    return [_row(entries) for entries in turns.values()]


def table(rows: list[Row]) -> str:
    """One tab-separated line per case, padded for the eye."""
    lines = [HEADER, *(_cells(row, rows) for row in rows)]
    width = max(len(line[0]) for line in lines)
    return "\n".join(
        "\t".join([case.ljust(width), *(cell.rjust(13) for cell in cells)])
        for case, *cells in lines
    )


def _cells(row: Row, rows: list[Row]) -> tuple[str, str, str, str]:
    ratio = row.times_as_fast_as_best(rows)
    return (row.case, f"{row.ns_per_record:.1f}", f"{row.mb_per_s:.0f}", f"{ratio:.2f}x")


def _row(entries: list[Any]) -> Row:
    info = entries[0]["extra_info"]
    return Row(
        case=info["case"],
        group=info["group"],
        impl=info["impl"],
        batch=info["batch"],
        size=info["size"],
        turns=tuple(entry["stats"]["median"] / info["records"] * 1e9 for entry in entries),
    )
