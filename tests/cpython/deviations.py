"""The table of the tests that do not pass, each with its reason: ``deviations.toml``."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("deviations.toml")
THIS_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A test that is known not to pass."""

    door: str
    test: str
    reason: str
    pythons: tuple[str, ...] = ()
    """The versions to which it applies; all versions that have the test if it is empty."""
    sometimes: bool = False
    """Whether the test passes at other times, as its outcome depends on the scheduler."""


def of(door: str) -> dict[str, Deviation]:
    """Return the deviations of a front door with this interpreter, by test."""
    return {
        it.test: it
        for it in table()
        if it.door == door and (not it.pythons or THIS_PYTHON in it.pythons)
    }


def table() -> list[Deviation]:
    """Return the whole table."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8")).get("deviation", [])
    return [Deviation(**{**row, "pythons": tuple(row.get("pythons", ()))}) for row in rows]
