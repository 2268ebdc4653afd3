"""Run the benches, print their tables, and write JSON and SVG."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from benches import machine, plot, report, table, targets
from benches.registry import BENCHES

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PYTEST_OPTIONS = [
    "-qq",
    "--capture=no",
    "--exitfirst",
    "-Wdefault::pytest_benchmark.logger.PytestBenchmarkWarning",
    "--no-header",
    "-oconsole_output_style=classic",
    "--benchmark-quiet",
    "--benchmark-disable-gc",
    "--benchmark-timer=benches.clock.now",
    "--timeout=600",
]


def main() -> int:
    """Run the chosen benches and return pytest's exit status.

    After a failed run no table is printed.
    """
    arguments = _arguments()
    print(machine.header(f"python -m benches {' '.join(sys.argv[1:])}".rstrip()))
    reports = {}
    for name in arguments.benches or BENCHES:
        status = measure(name, quick=arguments.quick)
        if status != pytest.ExitCode.OK:
            return status
        reports[name] = show(name, quick=arguments.quick)
    print(targets.table(reports))
    return pytest.ExitCode.OK


def measure(name: str, *, quick: bool) -> int:
    """Run a bench by pytest-benchmark, which writes the JSON, and return the exit status."""
    RESULTS.mkdir(exist_ok=True)
    path = Path(f"{_stem(name, quick=quick)}.json")
    if all(case.missing for group in BENCHES[name].groups(quick) for case in group):
        path.write_text('{"benchmarks": []}')
        return pytest.ExitCode.OK
    options = [f"--bench={name}", f"--benchmark-json={path}"]
    if quick:
        options.append("--quick-bench")
    return pytest.main([str(HERE / "bench_cases.py"), *PYTEST_OPTIONS, *options])


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
