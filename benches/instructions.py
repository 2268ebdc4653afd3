"""Count the instructions of the record path per record, and compare them with the table.

They are counted by callgrind, with a cipher that does nothing, so that load, caches and AES of the
machine do not matter. ``--update`` writes the table, ``instructions.tsv``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PROGRAM: Final = HERE.parent / "target" / "release" / "record-path"
TABLE: Final = HERE / "instructions.tsv"
MORE_ALLOWED: Final = 1.05
ROUNDS: Final = (10, 60)
TOTAL: Final = re.compile(r"^(?:totals|summary): (\d+)", re.M)
PATIENCE: Final = 60


def main() -> int:
    """Return 1 if a case needs over 5 % more than the table states, or is not in the table."""
    parser = argparse.ArgumentParser(prog="python -m benches.instructions", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the table")
    update = parser.parse_args().update
    if shutil.which("valgrind") is None:
        print("valgrind is missing: install it (Debian: apt install valgrind)", file=sys.stderr)
        return 1
    counted = {name: count(name, records) for name, records in cases().items()}
    if update:
        TABLE.write_text(_format(counted))
        print(f"written: {TABLE}")
        return 0
    return compare(counted, read_table())


def cases() -> dict[str, int]:
    """Return the number of records of a round for each case, by name."""
    output = subprocess.run(
        (PROGRAM,), check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    lines = (line.split("\t") for line in output.stdout.splitlines())
    return {name: int(records) for name, records in lines}


def count(name: str, records: int) -> float:
    """Return the instructions per record, without those of starting the process."""
    few, many = (_count(name, rounds) for rounds in ROUNDS)
    return (many - few) / (ROUNDS[1] - ROUNDS[0]) / records


def compare(counted: dict[str, float], table: dict[str, float]) -> int:
    """Print each case with its number in the table.

    Return 1 if a case is worse than the table or the sets of cases differ, otherwise 0.
    """
    worse = [name for name in counted if counted[name] > table.get(name, 0) * MORE_ALLOWED]
    gone = sorted(table.keys() - counted.keys())
    print(f"{'case':22}\t{'counted':>9}\t{'table':>9}\tratio")
    for name, now in counted.items():
        before = table.get(name)
        ratio = f"{now / before:.3f}" if before else "new"
        print(f"{name:22}\t{now:9.1f}\t{before or 0:9.1f}\t{ratio}")
    if not worse and not gone:
        return 0
    print(f"over 5 % more than in {TABLE.name}: {', '.join(worse) or '-'}", file=sys.stderr)
    print(f"only in the table: {', '.join(gone) or '-'}", file=sys.stderr)
    print(
        f"the table is for {_compiler_of_table()}, the program was built by {_compiler()};"
        " if only the compiler changed, run python -m benches.instructions --update",
        file=sys.stderr,
    )
    return 1


def read_table() -> dict[str, float]:
    """Return the instructions per record in the table, by case."""
    lines = (line.split("\t") for line in TABLE.read_text().splitlines()[2:])
    return {name: float(number) for name, number in lines}


def _count(name: str, rounds: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        tool = ("valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}")
        subprocess.run((*tool, PROGRAM, name, str(rounds)), check=True, timeout=PATIENCE)
        total = TOTAL.search(out.read_text())
    assert total, f"callgrind counted nothing for {name}"
    return int(total[1])


def _format(counted: dict[str, float]) -> str:
    lines = [f"# {_compiler()}", "case\tinstructions_per_record"]
    lines += [f"{name}\t{number:.1f}" for name, number in counted.items()]
    return "\n".join(lines) + "\n"


def _compiler_of_table() -> str:
    return TABLE.read_text().splitlines()[0].removeprefix("# ")


def _compiler() -> str:
    """Return the version of the compiler, as a table is valid only for one."""
    output = subprocess.run(("rustc", "--version"), check=True, capture_output=True, text=True)
    return output.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
