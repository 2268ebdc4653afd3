"""Starts processes of tests, and reads what became of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.cpython.plan import ChildPlan, Outcome, TestOutcome

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 30.0
MOST_SECONDS: Final = 240.0
GRACE: Final = 20.0
LAST_OUTPUT: Final = 2000

Outcomes = Mapping[str, TestOutcome]


def run(
    door: str,
    names: Sequence[str],
    parts: Sequence[str] = (),
    *,
    fault: bool = False,
    patience: float = PATIENCE,
    most_seconds: float = MOST_SECONDS,
) -> Outcomes:
    """Run tests in a process of their own, and return their outcomes by name.

    A test in which the process ended or hung has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "outcomes")
        plan = ChildPlan(door, [*names], str(output), [*parts], fault, patience, most_seconds)
        last_words = _run(plan, Path(folder))
        lines = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
    return _outcomes([json.loads(line) for line in lines], last_words)


def _run(plan: ChildPlan, folder: Path) -> str:
    """Run the process of ``plan``, and return the end of what it printed if it failed."""
    log = folder / "log"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.cpython.child", json.dumps(asdict(plan))),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            cwd=ROOT,
            env=_environment(),
        )
        try:
            status = process.wait(plan.most_seconds + GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait(GRACE)
    if status == 0:
        return ""
    text = log.read_text(encoding="utf-8", errors="replace")
    return f"the process ended with {status}: {text[-LAST_OUTPUT:]}"


def _environment() -> dict[str, str]:
    """Return this environment without what changes the tests."""
    return {name: value for name, value in os.environ.items() if name not in UNSET}


UNSET: Final = frozenset({"PYTHONWARNINGS", "SSLKEYLOGFILE", "PYTHONASYNCIODEBUG"})


def _outcomes(lines: list[dict[str, Any]], last_words: str) -> Outcomes:
    outcomes: dict[str, TestOutcome] = {}
    for line in lines:
        if "start" in line:
            outcomes[line["start"]] = _unfinished(line["start"], last_words)
        else:
            line["outcome"] = Outcome(line["outcome"])
            outcome = TestOutcome(**line)
            if not _failed_before(outcomes.get(outcome.test)):
                outcomes[outcome.test] = outcome
    if last_words and not any(it.outcome is Outcome.FAILED for it in outcomes.values()):
        outcomes[NO_TEST] = TestOutcome(NO_TEST, Outcome.FAILED, last_words)
    return outcomes


NO_TEST: Final = "(outside of a test)"
UNFINISHED: Final = "the test did not end; "


def _unfinished(test: str, last_words: str) -> TestOutcome:
    return TestOutcome(test, Outcome.FAILED, UNFINISHED + last_words)


def _failed_before(outcome: TestOutcome | None) -> bool:
    """Return True if a test has failed already, in a subtest or before its cleanup."""
    return (
        outcome is not None
        and outcome.outcome is Outcome.FAILED
        and not outcome.detail.startswith(UNFINISHED)
    )
