"""Runs tests of the interpreter in this process, and writes their outcomes to a file.

``python -m tests.cpython.child PLAN``, with a :class:`~tests.cpython.plan.ChildPlan` as JSON.
Each line of the file is JSON: the start of a test, or its outcome. A test that has started and
has no outcome has hung, or has ended the process.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
import time
import unittest
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tests.cpython import doors
from tests.cpython.plan import ChildPlan, Outcome

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

DETAIL_LINES = 12


class OutcomeWriter(unittest.TestResult):
    """A test result that writes each outcome at once, and ends a test that takes too long."""

    def __init__(self, output: TextIO, patience: float) -> None:
        super().__init__()
        self._output, self._patience = output, patience
        self._began, self._engine, self._bad = 0.0, 0, False

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._write({"start": test.id()})
        self._began, self._engine, self._bad = time.monotonic(), doors.connections(), False
        signal.setitimer(signal.ITIMER_REAL, self._patience)

    def stopTest(self, test: unittest.TestCase) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        if not self._bad:  # a failed subtest does not keep unittest from calling this
            self._end(test, Outcome.PASSED, "")

    def addFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        self._end(test, Outcome.FAILED, self._text(err, test))

    def addError(self, test: unittest.TestCase, err: ExcInfo) -> None:
        self._end(test, Outcome.FAILED, self._text(err, test))

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExcInfo | None
    ) -> None:
        if err is not None:
            self._end(test, Outcome.FAILED, self._text(err, subtest))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._end(test, Outcome.SKIPPED, reason)

    def addExpectedFailure(self, test: unittest.TestCase, _: ExcInfo) -> None:
        self._end(test, Outcome.PASSED, "failed, as its author expects")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._end(test, Outcome.FAILED, "passed, though its author expects a failure")

    def _end(self, test: unittest.TestCase, outcome: Outcome, detail: str) -> None:
        self._bad = outcome is Outcome.FAILED
        self._write(
            {
                "test": test.id(),
                "outcome": outcome,
                "detail": detail,
                "seconds": time.monotonic() - self._began,
                "engine": doors.connections() - self._engine,
            }
        )

    def _write(self, line: dict[str, Any]) -> None:
        self._output.write(json.dumps(line) + "\n")

    def _text(self, err: ExcInfo, test: unittest.TestCase) -> str:
        text: str = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        return "\n".join(text.splitlines()[-DETAIL_LINES:])


def main() -> None:
    """Run the tests of the plan."""
    plan = ChildPlan(**json.loads(sys.argv[1]))
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _too_long)
    doors.open_door(plan.door, fault=plan.fault)
    _no_network()
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{part}*" for part in plan.parts] or None
    suite = loader.loadTestsFromNames(plan.names)
    faulthandler.dump_traceback_later(plan.most_seconds, exit=True)
    with Path(plan.output).open("a", buffering=1, encoding="utf-8") as output:
        suite.run(OutcomeWriter(output, plan.patience))


def _too_long(_: int, __: FrameType | None) -> None:
    message = "the test took too long"
    raise TimeoutError(message)


def _no_network() -> None:
    """Allow the tests to take their time, but no hosts on the Internet and no large files."""
    support: Any = import_module("test.support")
    support.use_resources = ["cpu", "walltime"]
    support.verbose = False


if __name__ == "__main__":
    main()
