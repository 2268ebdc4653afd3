"""What a bench is: cases that compete in groups, and how their numbers are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benches.report import Row

OURS = "ktls_fast"
SECONDS = "seconds"  # the measure that every case has: of one round


class Role(StrEnum):
    """What a case is to the others of its group."""

    OURS = "ours"
    PEER = "peer"  # who does the same work otherwise
    LIMIT = "limit"  # what the machine could do
    SCALE = "scale"  # shown, and compared with nobody


class Work(Protocol):
    """A case at work. Only :meth:`run` is timed."""

    def reset(self) -> None:
        """Make ready for the next round."""

    def run(self) -> None:
        """Do one round."""

    def check(self) -> None:
        """Raise AssertionError unless the last round did what it should."""

    def close(self) -> None:
        """End what was started."""


class Measured(Protocol):
    """Work that also has numbers of its own, each of the round that was last."""

    def measures(self) -> dict[str, float]:
        """Give the numbers by name."""


class Timed(Protocol):
    """Work whose own clock times it, since it happens in another process."""

    def now(self) -> float:
        """Give the seconds that it has worked."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a table."""

    panel: str
    """The first half of its group: one panel of the picture."""
    x: str
    """The other half: a place on the panel's axis."""
    series: str
    """Who does it, and how."""
    role: Role
    units: Mapping[str, float]
    """What one round moves, e.g. ``{"records": 64, "bytes": 4096}``."""
    start: Callable[[], Work] | None
    """Sets it up; None when it is missing here."""
    missing: str = ""
    """Why it is missing, and what to do about it."""

    @property
    def group(self) -> str:
        """Those with the same group compete."""
        return f"{self.panel}/{self.x}"

    @property
    def name(self) -> str:
        """Its name in tables and files."""
        return f"{self.group}/{self.series}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers."""

    title: str
    value: Callable[[Row], float]
    form: str = ".1f"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure."""

    turns: int
    """How often each case has its turn."""
    budget: float = 0.0
    """Seconds per case and turn; 0 for a single round, which then decides itself."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One table."""

    name: str
    about: str
    groups: Callable[[bool], Iterator[list[Case]]]
    """The cases, by group; told whether to be quick."""
    columns: tuple[Column, ...]
    """The first is drawn."""
    pace: Pace
    quick: Pace
    compared: tuple[str, ...] = (SECONDS,)
    """The measures by which the members of a group are compared; less is better."""
    log_scale: bool = True
    notes: tuple[str, ...] = field(default=())
    """Lines under the table."""
