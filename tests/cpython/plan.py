"""What a process of tests is to do, and what becomes of each test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The outcome of a test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """The tests of one process."""

    door: str
    """A key of :data:`tests.cpython.doors.DOORS`."""
    names: list[str]
    """Modules, classes or tests, as unittest names them."""
    output: str
    """The file of the outcomes."""
    parts: list[str]
    """Only tests with one of these in their names are run; all of them if it is empty."""
    fault: bool
    """Whether the engine is made to fail, to see that the tests notice."""
    patience: float
    """Seconds until a test is interrupted."""
    most_seconds: float
    """Seconds until the process is ended."""


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """A test and its outcome."""

    test: str
    outcome: Outcome
    detail: str
    seconds: float = 0.0
    engine: int = 0
    """The number of connections that the engine took over during the test."""

    __test__ = False  # not a class of tests for pytest
