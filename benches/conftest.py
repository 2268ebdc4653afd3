"""The options of the benches, and the order in which their cases run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.cases import groups

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be made longer or shorter."""
    options = parser.getgroup("ktls_fast benches")
    options.addoption("--turns", type=int, default=16, help="how often each case has its turn")
    options.addoption("--budget", type=float, default=0.02, help="seconds per case and turn")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let the implementations of a group take turns, so that a slow moment hits all of them."""
    if "case" in metafunc.fixturenames:
        turns = metafunc.config.getoption("--turns")
        metafunc.parametrize("case", _in_turns(turns))


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> float:
    """Seconds that a case may take."""
    seconds = request.config.getoption("--budget")
    assert isinstance(seconds, float)
    return seconds


def _in_turns(turns: int) -> list[ParameterSet]:
    return [
        pytest.param(case, id=f"{case.name}#{turn}")
        for group in groups()
        for turn in range(turns)
        for case in group
    ]
