"""Every case of the kernel's selftest has a test of ours."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.selftest.catalogue import CATALOGUE, OF_TLS13_ALONE

CASES = {f"{fixture}.{case}" for fixture, cases in CATALOGUE.items() for case in cases.split()}
NAMED = re.compile(rf"\b(?:{'|'.join(CATALOGUE)})\.\w+")


def named_cases() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Pairs of a case and a test whose docstring names it."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for case in NAMED.findall(ast.get_docstring(node) or ""):
                    yield case, node


def test_every_case_has_a_test() -> None:
    assert sorted(CASES - {case for case, _ in named_cases()}) == []


def test_tests_name_cases_of_the_catalogue() -> None:
    assert [(case, test.name) for case, test in named_cases() if case not in CASES] == []


def test_cases_of_fixture_tls_run_in_all_variants() -> None:
    for case, test in named_cases():
        if case.startswith("tls."):
            wanted = "tls13" if case in OF_TLS13_ALONE else "tls"
            assert wanted in [argument.arg for argument in test.args.args], case
