"""A search for citations of rules in the sources, and for the tests that cite them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SECTION_ID = r"S\d\.\d"
# A letter and optionally a word: K-9, S1.2-3, R-SW-1. P-256 is a curve, not a rule.
RULE_ID = rf"(?:{SECTION_ID}|(?!P-)[A-Z](?:-[A-Z]+)?)-\d+"
CITED = re.compile(rf"(?<![\w-])(?:{RULE_ID}|{SECTION_ID})(?![\w-]|\.\d)")
IN_NAME = re.compile(r"(?<=_)k(\d+)(?=_)")

FOLDERS = ("rust", "python", "tests", "docs", "benches", ".ci")
SUFFIXES = {".rs", ".py", ".pyi", ".pyx", ".c", ".h", ".md", ".toml", ".sh"}
FILES_WITHOUT_SUFFIX = ("Makefile", ".ci/run", "rust/fuzz/run")
CODE = ("rust/", "python/")
# This test creates source trees with their own rules.
MADE_UP = "tests/test_rules.py"

RUST_TEST = re.compile(
    r"(?P<before>(?:^[ \t]*(?://.*|#\[.*)\n)*)"
    r"^(?P<indent>[ \t]*)#\[test\]\n"
    r"(?P<after>(?:^[ \t]*(?://.*|#\[.*)\n)*)"
    r"(?P=indent)fn (?P<name>\w+)"
    r"(?P<body>(?:.*\n)*?)(?P=indent)}$",
    re.M,
)


class Citation(NamedTuple):
    """A citation of a rule or a section in a file."""

    number: str
    where: str
    """File and line."""
    is_code: bool
    """Whether the file is neither a test nor a document."""


def citations(root: Path) -> Iterator[Citation]:
    """Yield all citations in code, tests and documents."""
    for path in _sources(root):
        name = path.relative_to(root).as_posix()
        is_code = name.startswith(CODE) and "/tests/" not in name
        for line, text in enumerate(path.read_text().split("\n"), 1):
            for number in CITED.findall(text):
                yield Citation(number, f"{name}:{line}", is_code)


def tests_that_cite(root: Path) -> Iterator[tuple[str, str]]:
    """Yield pairs of a rule's number and a test that cites it."""
    for path in _sources(root):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".rs":
            yield from _in_rust(path, name)
        elif path.name.startswith("test_") and path.suffix == ".py":
            yield from _in_python(path, name)
        elif name == "tests/trace_rules.py":
            yield from _in_traces(path)


def _sources(root: Path) -> Iterator[Path]:
    yield from sorted(root.glob("*.md"))
    yield from (root / name for name in FILES_WITHOUT_SUFFIX if (root / name).exists())
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root)
            is_left_out = "target" in inside.parts or inside.as_posix() == MADE_UP
            if path.suffix in SUFFIXES and path.is_file() and not is_left_out:
                yield path


def _in_python(path: Path, name: str) -> Iterator[tuple[str, str]]:
    source = path.read_text()
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            for number in _numbers(node.name, text):
                yield number, f"{name}::{node.name}"


def _in_rust(path: Path, name: str) -> Iterator[tuple[str, str]]:
    for test in RUST_TEST.finditer(path.read_text()):
        for number in _numbers(test["name"], test["before"] + test["after"] + test["body"]):
            yield number, f"{name}::{test['name']}"


def _in_traces(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            held: dict[str, str] = ast.literal_eval(node.value)
            for number, traces in held.items():
                yield from ((number, f"trace {trace}") for trace in traces.split())


def _numbers(name: str, text: str) -> list[str]:
    return [f"K-{number}" for number in IN_NAME.findall(f"{name}_")] + CITED.findall(text)
