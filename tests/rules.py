"""List each rule with the code and the tests that cite it; fail if a rule has no test.

``python -m tests.rules [--quiet] [FOLDER]``. Rules are the numbered entries of
``docs/*-rules.md``. It also fails if a number is cited that is not defined. A test cites a rule by
its number in its docstring, its doc comment or its body or, as ``k9``, in its name.
``trace_rules.py`` lists the rules that recorded scenarios test. A rule that cannot be tested is
listed with the reason under "Without a test" in its document.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.rule_citations import RULE_ID, Citation, citations, tests_that_cite

ROOT = Path(__file__).parent.parent
ENTRY = re.compile(rf"^- \*\*({RULE_ID})\*\*(:?) ?(.*(?:\n  .+)*)", re.M)
SECTION = re.compile(r"^### (\d\.\d) ", re.M)
UNTESTED = "\n## Without a test\n"
FILE = re.compile(r"`((?:rust|python|tests|docs|benches)/[\w./-]+)`")


class Rule(NamedTuple):
    """An entry of a document."""

    number: str
    words: str
    where: str
    """File and line."""


class Book(NamedTuple):
    """All rule documents of a source tree."""

    rules: list[Rule]
    untested: list[Rule]
    """Rules without a test; their words are the reason."""
    sections: set[str]
    files: list[tuple[str, str]]
    """Source files that a document names, each with file and line of the document."""


def read_book(root: Path) -> Book:
    """Read the rules of ``docs/*-rules.md``."""
    book = Book([], [], set(), [])
    for path in sorted(root.glob("docs/*-rules.md")):
        text = path.read_text()
        name = path.relative_to(root)
        defined, _, exempt = text.partition(UNTESTED)
        for match in ENTRY.finditer(text):
            words = re.sub(r"\s+", " ", match[3]).strip()
            rule = Rule(match[1], words, f"{name}:{_line(text, match.start())}")
            is_exempt = exempt and match.start() > len(defined)
            (book.untested if is_exempt else book.rules).append(rule)
        book.sections.update(f"S{number}" for number in SECTION.findall(text))
        book.files.extend(
            (match[1], f"{name}:{_line(text, match.start())}") for match in FILE.finditer(text)
        )
    return book


def tests_by_rule(root: Path) -> dict[str, list[str]]:
    """Return the tests of each rule that has tests, without duplicates."""
    tests: dict[str, dict[str, None]] = {}
    for number, test in tests_that_cite(root):
        tests.setdefault(number, {})[test] = None
    return {number: list(names) for number, names in tests.items()}


def faults(root: Path) -> Iterator[str]:
    """Yield the errors in the rules of a source tree, each with file and line."""
    book, tests = read_book(root), tests_by_rule(root)
    yield from _faults_of_rules(book, tests)
    yield from _faults_of_exemptions(book, tests)
    yield from _unknown(book, citations(root))
    for file, where in book.files:
        if not (root / file).exists():
            yield f"{where}: there is no {file}"


def _faults_of_rules(book: Book, tests: dict[str, list[str]]) -> Iterator[str]:
    exempt = {rule.number for rule in book.untested}
    first: dict[str, str] = {}
    for rule in book.rules:
        if rule.number in first:
            yield f"{rule.where}: {rule.number} is defined at {first[rule.number]}, too"
        elif rule.number not in tests and rule.number not in exempt:
            yield f"{rule.where}: no test cites {rule.number}"
        first.setdefault(rule.number, rule.where)


def _faults_of_exemptions(book: Book, tests: dict[str, list[str]]) -> Iterator[str]:
    defined = {rule.number for rule in book.rules}
    for rule in book.untested:
        if not rule.words:
            yield f"{rule.where}: no reason why {rule.number} has no test"
        if rule.number not in defined:
            yield f"{rule.where}: {rule.number} is defined nowhere"
        if rule.number in tests:
            yield f"{rule.where}: {rule.number} has a test, {tests[rule.number][0]}"


def _unknown(book: Book, cited: Iterator[Citation]) -> Iterator[str]:
    known = {rule.number for rule in book.rules} | book.sections
    for citation in cited:
        if citation.number not in known:
            yield f"{citation.where}: {citation.number} is defined nowhere"


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def print_rules(root: Path) -> None:
    """Print each rule with the code and the tests that cite it."""
    book, tests = read_book(root), tests_by_rule(root)
    reasons = {rule.number: rule.words for rule in book.untested}
    code: dict[str, dict[str, None]] = {}
    for citation in citations(root):
        if citation.is_code:
            code.setdefault(citation.number, {})[citation.where] = None
    for rule in book.rules:
        print(f"{rule.number:9} {rule.words}")
        for line in [*code.get(rule.number, ()), *tests.get(rule.number, ())]:
            print(f"{'':9}   {line}")
        if rule.number in reasons:
            print(f"{'':9}   not tested: {reasons[rule.number]}")
    print(f"\n{len(book.rules)} rules; {len(reasons)} of them cannot be tested")


def main(arguments: list[str] | None = None) -> int:
    """Print the rules and their errors; return 1 if there are errors, otherwise 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.rules", description=__doc__)
    parser.add_argument("--quiet", action="store_true", help="print only errors")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="source tree")
    options = parser.parse_args(arguments)
    if not options.quiet:
        print_rules(options.folder)
    found = sorted(set(faults(options.folder)))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
