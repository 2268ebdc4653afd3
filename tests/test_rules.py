"""What ties code and tests to rules: the documents, and the numbers that are cited."""

import re
from pathlib import Path

import pytest

from ktls_fast._tools.conformance.steps import scenarios
from tests.rules import ROOT, faults, main, read_book, tests_by_rule
from tests.trace_rules import TRACE_RULES

BOOK = read_book(ROOT)
NUMBERS = [rule.number for rule in BOOK.rules]

DOCUMENT = """# Rules

Made of `rust/lib.rs`.

### 2.1 Records
- **K-1** Said in one line.
- **S2.1-1** Said
  in two lines.
- **V-TX-1** Cannot be tested.

## Without a test
- **V-TX-1**: it takes a device.
"""
RUST = """/// What S2.1 has (K-1).
fn code() {}

#[cfg(test)]
mod tests {
    /// Names S2.1-1.
    #[test]
    #[ignore]
    fn a_test() {
        code();
    }

    fn no_test() {}
}
"""
PYTHON = 'def test_k1_is_kept() -> None:\n    """Docs."""\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a small source tree without errors."""
    for name, text in {
        "docs/some-rules.md": DOCUMENT,
        "rust/lib.rs": RUST,
        "tests/test_some.py": PYTHON,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(faults(tmp_path)) == []
    return tmp_path


def plant(tree: Path, name: str, old: str, new: str) -> list[str]:
    """Return the errors after a change to a file."""
    path = tree / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return list(faults(tree))


def test_this_tree_has_no_fault() -> None:
    assert list(faults(ROOT)) == []


def test_every_rule_is_parsed_and_has_a_unique_number() -> None:
    listed = [
        number
        for path in sorted(ROOT.glob("docs/*-rules.md"))
        for number in re.findall(r"^- \*\*(.+?)\*\*(?!:)", path.read_text(), re.M)
    ]
    assert listed == NUMBERS
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("family", sorted({number.rpartition("-")[0] for number in NUMBERS}))
def test_rule_numbers_have_no_gap(family: str) -> None:
    numbers = [int(n.rpartition("-")[2]) for n in NUMBERS if n.rpartition("-")[0] == family]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("number", ["K-{}", "S2.1-{}", "V-TX-{}", "R-API-{}", "W-{}"])
@pytest.mark.parametrize(
    ("name", "comment"),
    [("rust/lib.rs", "// {}"), ("tests/test_some.py", "# {}"), ("docs/some-rules.md", "({})")],
)
def test_an_undefined_number_is_reported_with_its_line(
    tree: Path, name: str, comment: str, number: str
) -> None:
    unknown = number.format(77)
    first = (tree / name).read_text().splitlines()[0]
    found = plant(tree, name, first, f"{first}\n{comment.format(unknown)}")
    assert found == [f"{name}:2: {unknown} is defined nowhere"]


@pytest.mark.parametrize("name", ["README.md", "Makefile", "benches/cost.py", "python/a/b.pyi"])
def test_numbers_are_searched_in_every_folder(tree: Path, name: str) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# As D-{5} says.")
    assert list(faults(tree)) == [f"{name}:1: D-{5} is defined nowhere"]


def test_an_unknown_section_is_reported(tree: Path) -> None:
    assert plant(tree, "rust/lib.rs", "S2.1 ", f"S2.{9} ") == [
        f"rust/lib.rs:1: S2.{9} is defined nowhere"
    ]


@pytest.mark.parametrize("text", ["P-256", "SHA-256", "RFC 8446 §5.1", "v1.2-3", "X.509-1"])
def test_text_that_only_resembles_a_number_is_ignored(tree: Path, text: str) -> None:
    assert plant(tree, "rust/lib.rs", "fn code", f"// {text}\nfn code") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("tests/test_some.py", "k1", "k", "docs/some-rules.md:6: no test cites K-1"),
        (
            "tests/test_some.py",
            "def test",
            "def no_test",
            "docs/some-rules.md:6: no test cites K-1",
        ),
        ("rust/lib.rs", "Names S2.1-1.", "Says.", "docs/some-rules.md:7: no test cites S2.1-1"),
        ("rust/lib.rs", "#[test]", "#[ignore]", "docs/some-rules.md:7: no test cites S2.1-1"),
        (
            "docs/some-rules.md",
            "- **V-TX-1**: it takes a device.",
            "",
            "docs/some-rules.md:9: no test cites V-TX-1",
        ),
    ],
)
def test_a_rule_without_a_test_is_reported(
    tree: Path, name: str, old: str, new: str, fault: str
) -> None:
    assert plant(tree, name, old, new) == [fault]


@pytest.mark.parametrize("place", ["    // {}", '    call("{}");', "    /* {} */ code();"])
def test_a_citation_in_the_body_of_a_rust_test_counts(tree: Path, place: str) -> None:
    cited = place.format(f"S2.1-{1}")
    plant(tree, "rust/lib.rs", "/// Names S2.1-1.", "/// Says.")
    assert plant(tree, "rust/lib.rs", "        code();", f"    {cited}") == []


@pytest.mark.parametrize("place", ["fn no_test() {{ /* {} */ }}", "/// {}\n    fn no_test() {{}}"])
def test_a_citation_after_a_rust_test_does_not_belong_to_it(tree: Path, place: str) -> None:
    plant(tree, "rust/lib.rs", "/// Names S2.1-1.", "/// Says.")
    found = plant(tree, "rust/lib.rs", "fn no_test() {}", place.format(f"S2.1-{1}"))
    assert found == ["docs/some-rules.md:7: no test cites S2.1-1"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (": it takes a device.", ":", "12: no reason why V-TX-1 has no test"),
        (
            "- **V-TX-1** Cannot",
            "- Cannot",
            "12: V-TX-1 is defined nowhere",
        ),
        ("**V-TX-1**: ", "**K-1**: ", "12: K-1 has a test, tests/test_some.py::test_k1_is_kept"),
        ("- **S2.1-1** Said", "- **K-1** Said", "7: K-1 is defined at docs/some-rules.md:6, too"),
        ("`rust/lib.rs`", "`rust/gone.rs`", "3: there is no rust/gone.rs"),
    ],
)
def test_a_wrong_document_is_reported(tree: Path, old: str, new: str, fault: str) -> None:
    assert f"docs/some-rules.md:{fault}" in plant(tree, "docs/some-rules.md", old, new)


def test_the_command_fails_and_names_the_fault(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quiet", str(tree)]) == 0
    assert capsys.readouterr() == ("", "")
    plant(tree, "tests/test_some.py", "k1", "k")
    assert main([str(tree)]) == 1
    out, err = capsys.readouterr()
    assert "S2.1-1    Said in two lines.\n" in out
    assert "rust/lib.rs::a_test" in out
    assert "not tested: it takes a device." in out
    assert err == "docs/some-rules.md:6: no test cites K-1\n"


def test_every_rule_without_a_test_has_a_reason() -> None:
    assert [rule.number for rule in BOOK.untested if len(rule.words.split()) < 3] == []


def test_scenarios_that_test_a_rule_are_replayed() -> None:
    recorded = {scenario["name"] for scenario in scenarios()}
    named = {name for names in TRACE_RULES.values() for name in names.split()}
    assert named - recorded == set()


def test_tests_named_for_known_differences_exist() -> None:
    table = (ROOT / "docs/kernel-differences.md").read_text().split("\n|---")[1]
    rows = [row for row in table.splitlines()[1:] if row.startswith("|")]
    shown = [row.rsplit("|", 2)[1] for row in rows]
    there = {scenario["name"] for scenario in scenarios()}
    for path in Path(__file__).parent.rglob("test_*.py"):
        there.update(re.findall(r"^def (test_\w+)", path.read_text(), re.M))
    for names in shown:
        assert re.findall(r"`(.+?)`", names), names
        assert set(re.findall(r"`(.+?)`", names)) - there == set()


def test_citations_are_found_in_python_rust_and_traces() -> None:
    tests = tests_by_rule(ROOT)
    in_python = "tests/test_ktls_socket_pause.py::test_k4_an_empty_handshake_record_does_not_pause"
    assert in_python in tests["K-4"]
    assert "trace ku.zero_len_handshake" in tests["K-4"]
    assert any(test.startswith("rust/") for test in tests["S3.2-3"])
