"""The runner itself: it reads every outcome, and says what the table does not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cpython import compare, deviations, runs
from tests.cpython.deviations import Deviation
from tests.cpython.plan import Outcome, TestOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cpython.runs import Outcomes

SAMPLES = "tests.cpython.samples"
TEST = "test.test_ssl.ThreadedTests.test_echo"


def test_every_outcome_is_read() -> None:
    # The patience has to be longer than any sample needs on a slow machine, except for one.
    outcomes = runs.run("stdlib", [f"{SAMPLES}.Samples"], patience=2)
    names = {test.rpartition(".")[2]: it.outcome for test, it in outcomes.items()}
    assert names == {
        "test_passes": Outcome.PASSED,
        "test_fails": Outcome.FAILED,
        "test_raises": Outcome.FAILED,
        "test_is_skipped": Outcome.SKIPPED,
        "test_fails_in_a_subtest": Outcome.FAILED,
        "test_fails_in_its_cleanup": Outcome.FAILED,
        "test_fails_as_expected": Outcome.PASSED,
        "test_takes_too_long": Outcome.FAILED,
    }
    assert "took too long" in outcomes[f"{SAMPLES}.Samples.test_takes_too_long"].detail


def test_the_parts_of_names_select_tests() -> None:
    outcomes = runs.run("stdlib", [SAMPLES], ["passes", "skipped"])
    assert len(outcomes) == 2


def test_a_test_that_ends_the_process_has_failed() -> None:
    outcomes = runs.run("stdlib", [SAMPLES], ["test_ends_the_process"])
    (outcome,) = outcomes.values()
    assert outcome.outcome is Outcome.FAILED
    assert "ended with 3" in outcome.detail


def test_a_test_that_cannot_be_interrupted_has_failed() -> None:
    outcomes = runs.run(
        "stdlib", [SAMPLES], ["test_is_never_interrupted"], patience=0.1, most_seconds=1
    )
    (outcome,) = outcomes.values()
    assert outcome.outcome is Outcome.FAILED
    assert "test_is_never_interrupted" in outcome.detail, "the stack is reported"


def test_a_module_that_cannot_be_imported_has_failed() -> None:
    outcomes = runs.run("stdlib", [f"{SAMPLES}.Missing"])
    assert [it.outcome for it in outcomes.values()] == [Outcome.FAILED]


def outcome_of(outcome: Outcome, test: str = TEST, engine: int = 0) -> Outcomes:
    return {test: TestOutcome(test, outcome, "as planted", engine=engine)}


def judged(ours: Outcomes, theirs: Outcomes, *known: Deviation) -> compare.Verdict:
    def rerun(tests: Sequence[str]) -> Outcomes:
        return {test: theirs[test] for test in tests}

    return compare.judge(ours, {it.test: it for it in known}, rerun)


def test_a_failure_that_the_standard_library_does_not_have_is_wrong() -> None:
    verdict = judged(outcome_of(Outcome.FAILED), outcome_of(Outcome.PASSED))
    assert verdict.wrong == [f"{TEST} failed:\nas planted"]


def test_a_skip_that_the_standard_library_does_not_have_is_wrong() -> None:
    verdict = judged(outcome_of(Outcome.SKIPPED), outcome_of(Outcome.PASSED))
    assert verdict.wrong == [f"{TEST} skipped:\nas planted"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SKIPPED])
def test_an_outcome_of_the_standard_library_is_excluded(outcome: Outcome) -> None:
    verdict = judged(outcome_of(outcome), outcome_of(outcome))
    assert (verdict.excluded, verdict.wrong) == ([TEST], [])


def test_a_known_deviation_is_listed() -> None:
    verdict = judged(outcome_of(Outcome.FAILED), {}, Deviation("ssl", TEST, "as planted"))
    assert (verdict.known, verdict.wrong) == ([TEST], [])


def test_a_deviation_that_passes_has_to_be_removed_from_the_table() -> None:
    ours, known = outcome_of(Outcome.PASSED), Deviation("ssl", TEST, "as planted")
    assert judged(ours, {}, known).wrong == [
        f"{TEST} passes: remove it from the table of deviations"
    ]
    assert judged(ours, {}, Deviation("ssl", TEST, "", sometimes=True)).wrong == []


def test_tests_are_counted_by_whether_the_engine_took_part() -> None:
    ours = {**outcome_of(Outcome.PASSED, engine=2), **outcome_of(Outcome.PASSED, "another")}
    verdict = judged(ours, {})
    assert (verdict.passed, verdict.engine) == (2, 1)


def test_every_deviation_has_a_reason_and_is_listed_once() -> None:
    rows = deviations.table()
    places = [(it.door, it.test, python) for it in rows for python in it.pythons or ("",)]
    assert len(places) == len(set(places))
    assert all(len(it.reason.split()) > 3 for it in rows)
