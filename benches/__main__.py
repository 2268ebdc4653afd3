"""Run the benches, print their tables, and write JSON and SVG."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benches import machine, plot, report, runner, table, targets
from benches.registry import BENCHES

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main() -> int:
    """Run the chosen benches, and print their tables and the targets."""
    arguments = _arguments()
    print(machine.header(f"python -m benches {' '.join(sys.argv[1:])}".rstrip()))
    reports = {}
    for name in arguments.benches or BENCHES:
        measure(name, quick=arguments.quick)
        reports[name] = show(name, quick=arguments.quick)
    print(targets.table(reports))
    return 0


def measure(name: str, *, quick: bool) -> None:
    """Run a bench and write the JSON."""
    RESULTS.mkdir(exist_ok=True)
    result = runner.run(BENCHES[name], quick=quick)
    Path(f"{_stem(name, quick=quick)}.json").write_text(json.dumps(result, indent=4))


def show(name: str, *, quick: bool) -> report.BenchReport:
    """Print the table of a run, draw it, and return its report."""
    stem = _stem(name, quick=quick)
    result = report.read(BENCHES[name], Path(f"{stem}.json"), quick=quick)
    print(f"\n{table.table(result)}", flush=True)
    if result.rows:
        plot.draw(result, Path(f"{stem}.svg"))
    print(f"written: {stem}.json, {stem}.svg", file=sys.stderr)
    return result


def _stem(name: str, *, quick: bool) -> Path:
    return RESULTS / (f"{name}-quick" if quick else name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=", ".join(BENCHES))
    parser.add_argument(
        "--quick", action="store_true", help="take less than two minutes, with less precision"
    )
    arguments = parser.parse_args()
    for name in arguments.benches:
        if name not in BENCHES:
            parser.error(f"there is no bench {name}; choose from {', '.join(BENCHES)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
