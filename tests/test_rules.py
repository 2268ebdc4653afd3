"""What ties tests to rules: the document, and the numbers that tests cite."""

import re
from pathlib import Path

import pytest

from ktls_fast._tools.conformance.steps import scenarios
from tests.rules import DOCUMENT, citations, rules, tests_by_rule
from tests.trace_rules import TRACE_RULES

RULES = rules()


def test_every_rule_is_read_and_has_a_number_of_its_own() -> None:
    listed = re.findall(r"^- \*\*(.+?)\*\*", DOCUMENT.read_text(), re.M)
    assert listed == list(RULES)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("family", sorted({number.rpartition("-")[0] for number in RULES}))
def test_numbers_run_without_a_gap(family: str) -> None:
    numbers = [int(n.rpartition("-")[2]) for n in RULES if n.rpartition("-")[0] == family]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_rule_has_a_test() -> None:
    tests = tests_by_rule()
    assert [number for number in RULES if not tests.get(number)] == []


def test_what_tests_cite_are_rules() -> None:
    assert [(number, test) for number, test in citations() if number not in RULES] == []


def test_scenarios_that_hold_a_rule_are_replayed() -> None:
    recorded = {scenario["name"] for scenario in scenarios()}
    named = {name for names in TRACE_RULES.values() for name in names.split()}
    assert named - recorded == set()


def test_what_shows_a_difference_is_there() -> None:
    table = DOCUMENT.with_name("kernel-differences.md").read_text().split("\n|---")[1]
    rows = [row for row in table.splitlines()[1:] if row.startswith("|")]
    shown = [row.rsplit("|", 2)[1] for row in rows]
    there = {scenario["name"] for scenario in scenarios()}
    for path in Path(__file__).parent.rglob("test_*.py"):
        there.update(re.findall(r"^def (test_\w+)", path.read_text(), re.M))
    for names in shown:
        assert re.findall(r"`(.+?)`", names), names
        assert set(re.findall(r"`(.+?)`", names)) - there == set()


def test_citations_are_found_in_python_rust_and_traces() -> None:
    tests = tests_by_rule()
    assert "test_ktls_socket_pause.py::test_k4_empty_handshake_record_is_nothing" in tests["K-4"]
    assert "trace ku.zero_len_handshake" in tests["K-4"]
    assert any(test.startswith("rust/") for test in tests["S3.2-3"])
