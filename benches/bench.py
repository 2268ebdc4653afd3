"""The parts of a bench: cases, which are compared in groups, and the columns of its table."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benches.report import ReportRow

OURS = "ktls_fast"
SECONDS = "seconds"  # the measure that every case has: the duration of a round


class CaseRole(StrEnum):
    """The role of a case in its group."""

    OURS = "ours"
    PEER = "peer"  # another implementation of the same work
    LIMIT = "limit"  # the limit of the machine
    SCALE = "scale"  # shown for scale, without a comparison


class BenchWork(Protocol):
    """The work of a case. Only :meth:`run` is timed."""

    def reset(self) -> None:
        """Prepare the next round."""

    def run(self) -> None:
        """Perform a round."""

    def check(self) -> None:
        """Raise AssertionError if the result of the last round is wrong."""

    def close(self) -> None:
        """Release all resources."""


class MeasuredWork(Protocol):
    """Work with additional measures of its last round."""

    def measures(self) -> dict[str, float]:
        """Return the measures by name."""


class SelfTimedWork(Protocol):
    """Work that is timed by its own clock, for example as it runs in another process."""

    def now(self) -> float:
        """Return the seconds worked so far."""


@dataclass(frozen=True, slots=True)
class BenchCase:
    """A row of a table."""

    panel: str
    """The first part of the group, which is the panel of the plot."""
    x: str
    """The second part of the group, which is the position on the panel's x axis."""
    series: str
    """The implementation, and its variant."""
    role: CaseRole
    units: Mapping[str, float]
    """The amount of work of a round, e.g. ``{"records": 64, "bytes": 4096}``."""
    start: Callable[[], BenchWork] | None
    """The function that sets up the work; None if the case is missing."""
    missing: str = ""
    """The reason why the case is missing and how to install it, or an empty string."""

    @property
    def group(self) -> str:
        """The name of the group; cases of the same group are compared."""
        return f"{self.panel}/{self.x}"

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return f"{self.group}/{self.series}"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of numbers in a table."""

    title: str
    value: Callable[[ReportRow], float]
    form: str = ".1f"


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """The duration of a measurement."""

    turns: int
    """The number of turns of each case."""
    budget: float = 0.0
    """Seconds per turn of a case; 0 for a single round, which determines its own duration."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark, which results in a table."""

    name: str
    about: str
    groups: Callable[[bool], Iterator[list[BenchCase]]]
    """A function that returns the cases by group; its argument is True for a quick run."""
    columns: tuple[TableColumn, ...]
    """The columns of the table, the first of which is plotted."""
    pace: TimeBudget
    quick: TimeBudget
    compared: tuple[str, ...] = (SECONDS,)
    """The measures by which the cases of a group are compared; lower is better."""
    log_scale: bool = True
    notes: tuple[str, ...] = field(default=())
    """Lines below the table."""
