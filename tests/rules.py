"""Lists each rule of ``docs/kernel-rules.md`` with the tests that cite it; fails if one has none.

``python -m tests.rules``. A test cites a rule by its number in its docstring, its comments or, as
``k9``, in its name; ``trace_rules.py`` says what the recorded scenarios hold.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.trace_rules import TRACE_RULES

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
DOCUMENT = ROOT / "docs" / "kernel-rules.md"
RULE_ID = r"(?:K-\d+|R-SW-\d+|S\d\.\d-\d+)"
CITED = re.compile(rf"(?<![\w-]){RULE_ID}(?!\w)")
IN_NAME = re.compile(r"(?<=_)k(\d+)(?=_)")
RUST_TEST = re.compile(r"#\[test\]\s+(?:#\[.*\]\s+)*fn (\w+)")


def rules() -> dict[str, str]:
    """Each rule's number and its words."""
    found = re.findall(rf"^- \*\*({RULE_ID})\*\* (.+(?:\n  .+)*)", DOCUMENT.read_text(), re.M)
    return {number: re.sub(r"\s+", " ", words) for number, words in found}


def citations() -> Iterator[tuple[str, str]]:
    """Pairs of a rule's number and a test that cites it."""
    for path in sorted(TESTS.rglob("test_*.py")):
        yield from _in_python(path)
    for path in sorted((ROOT / "rust").rglob("*.rs")):
        yield from _in_rust(path)
    for number, traces in TRACE_RULES.items():
        for trace in traces.split():
            yield number, f"trace {trace}"


def tests_by_rule() -> dict[str, list[str]]:
    """The tests of each rule, without doubles."""
    tests: dict[str, dict[str, None]] = {number: {} for number in rules()}
    for number, test in citations():
        tests[number][test] = None
    return {number: list(names) for number, names in tests.items()}


def _in_python(path: Path) -> Iterator[tuple[str, str]]:
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = ast.get_source_segment(source, node) or ""
            numbers = [f"K-{number}" for number in IN_NAME.findall(node.name)]
            for number in numbers + CITED.findall(text):
                yield number, f"{path.relative_to(TESTS)}::{node.name}"


def _in_rust(path: Path) -> Iterator[tuple[str, str]]:
    source = path.read_text()
    # What stands before the first test is not one; then names and texts come in turn.
    pieces = RUST_TEST.split(source)[1:]
    for name, text in zip(pieces[::2], pieces[1::2], strict=True):
        for number in CITED.findall(text):
            yield number, f"{path.relative_to(ROOT)}::{name}"


def main() -> int:
    """Print the list; 1 if a rule has no test."""
    words, missing = rules(), []
    for number, tests in tests_by_rule().items():
        print(f"{number:9} {words[number]}")
        for test in tests:
            print(f"{'':9}   {test}")
        if not tests:
            missing.append(number)
    held = len(words) - len(missing)
    print(f"\n{held} of {len(words)} rules have a test; none: {', '.join(missing) or '-'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
