"""The options of the benches, the order of their cases, and the progress line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from benches import machine
from benches.registry import BENCHES
from benches.stage import CaseStage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from benches.bench import Bench, TimeBudget


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose a bench and a quick run."""
    options = parser.getgroup("ktls_fast benches")
    options.addoption("--bench", choices=tuple(BENCHES), default="records", help="the bench")
    options.addoption("--quick-bench", action="store_true", help="fewer turns, less precise")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let the cases of a group take turns, back and forth, so that a drift affects all of them."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", _in_turns(metafunc.config))


@pytest.fixture
def pace(request: pytest.FixtureRequest) -> TimeBudget:
    """Return the duration of the measurement."""
    return _pace(request.config)


@pytest.fixture(scope="session")
def stage() -> Iterator[CaseStage]:
    """Yield the holder of the cases that are set up."""
    stage = CaseStage()
    yield stage
    stage.clear()


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add the machine and all versions to the JSON."""
    machine_info["ktls_fast_benches"] = machine.facts()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Store the number of each case, for the progress line."""
    for nth, item in enumerate(items, 1):
        item.stash[NUMBER] = f"{nth}/{len(items)}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Update the progress line, if standard error is a terminal."""
    if sys.stderr.isatty():
        case = item.name.removeprefix("bench_case").strip("[]")
        bench = _bench(item.config).name
        sys.stderr.write(f"\r\x1b[K{bench} {item.stash[NUMBER]} {case[:60]}")
        sys.stderr.flush()


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Print no dots between the tables."""
    return ("passed", "", "") if report.passed else None


def pytest_sessionfinish() -> None:
    """Clear the progress line."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


NUMBER = pytest.StashKey[str]()


def _bench(config: pytest.Config) -> Bench:
    return BENCHES[config.getoption("--bench")]


def _pace(config: pytest.Config) -> TimeBudget:
    bench = _bench(config)
    return bench.quick if config.getoption("--quick-bench") else bench.pace


def _in_turns(config: pytest.Config) -> list[ParameterSet]:
    return [
        pytest.param(case, id=f"{case.name}#{turn}")
        for group in _bench(config).groups(config.getoption("--quick-bench"))
        for turn in range(_pace(config).turns)
        for case in (group[::-1] if turn % 2 else group)
        if not case.missing
    ]
