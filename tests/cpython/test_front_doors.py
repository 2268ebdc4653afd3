"""The interpreter's TLS tests against ``ktls_fast.ssl`` and ``ktls_fast.asyncio``."""

from __future__ import annotations

import pytest

from tests.conftest import IN_CI
from tests.cpython import compare, deviations, doors, runs
from tests.cpython.plan import Outcome
from tests.cpython.selected import SELECTED, SelectedTests

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("selected", SELECTED, ids=lambda selected: selected.name)
def test_the_interpreters_tests_pass(
    selected: SelectedTests, capsys: pytest.CaptureFixture[str]
) -> None:
    require_open(selected.door)
    if not IN_CI and selected.quick_parts == ():
        pytest.skip("takes long, so it is run with CI=true only")
    parts = selected.parts if IN_CI else selected.quick_parts or selected.parts
    outcomes = runs.run(selected.door, [selected.module], parts)
    known, rerun = deviations.of(selected.door), compare.rerun_without(selected.door)
    verdict = compare.judge(outcomes, known, rerun)
    with capsys.disabled():
        print(f"\n{selected.name}: {verdict.summary()}")
    assert not verdict.wrong, "\n".join(verdict.wrong)
    assert verdict.engine >= (selected.through_engine if IN_CI else 0)


@pytest.mark.parametrize(
    ("door", "test"),
    [
        ("ssl", "test.test_ssl.ThreadedTests.test_echo"),
        ("ssl", "test.test_asyncio.test_ssl.TestSSL.test_create_server_ssl_1"),
        ("asyncio", "test.test_asyncio.test_ssl.TestSSL.test_create_server_ssl_1"),
        ("asyncio", "test.test_asyncio.test_sendfile.EPollEventLoopTests.test_sendfile_ssl"),
    ],
)
def test_a_fault_of_the_engine_makes_the_interpreters_tests_fail(door: str, test: str) -> None:
    require_open(door)
    outcomes = runs.run(door, [test], fault=True, patience=5)
    assert outcomes[test].outcome is Outcome.FAILED, "the test did not use the engine"


def require_open(door: str) -> None:
    """Skip the test if the front door cannot be opened with this interpreter."""
    if reason := doors.why_closed(door):
        pytest.skip(reason)
