"""Run the benches, print the table, write JSON and SVG."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from benches import plot, queue, report

HERE = Path(__file__).parent
RESULTS = HERE / "results"
QUIET = [
    "--quiet",
    "--no-header",
    "--benchmark-quiet",
    "--benchmark-disable-gc",
    # As an error, "no benchmarks have been run" would hide why they have not.
    "-Wdefault::pytest_benchmark.logger.PytestBenchmarkWarning",
]
QUICK = ["--turns=2", "--budget=0.005"]


def main() -> int:
    """Return pytest's exit status; without a complete run there is no table."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds, less precise")
    quick = parser.parse_args().quick
    stem = RESULTS / ("records-quick" if quick else "records")
    status = measure(stem.with_suffix(".json"), QUICK if quick else [])
    if status == pytest.ExitCode.OK:
        show(stem)
        print(queue.table(queue.QUICK if quick else queue.FULL))
    return status


def measure(path: Path, options: list[str]) -> int:
    """Run pytest-benchmark, which writes ``path``."""
    RESULTS.mkdir(exist_ok=True)
    return pytest.main([str(HERE), *QUIET, f"--benchmark-json={path}", *options])


def show(stem: Path) -> None:
    """Print the table of a run and draw it."""
    rows = report.read(stem.with_suffix(".json"))
    print(report.table(rows))
    plot.draw(rows, stem.with_suffix(".svg"))
    print(f"written: {stem}.json, {stem}.svg", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
