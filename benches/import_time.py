"""Time `import numpy` and then `import ktls_fast`, in a new interpreter for each run.

There is no limit, since times depend on the machine: the test of what the import loads is in
`tests/test_package.py`. `python -X importtime -c "import numpy, ktls_fast"` shows the time of each
module.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from typing import Final

MODULES: Final = ("numpy", "ktls_fast")
PATIENCE: Final = 60
CODE: Final = f"""
import importlib, time
for name in {MODULES}:
    wall, cpu = time.perf_counter(), time.process_time()
    importlib.import_module(name)
    print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def main() -> int:
    """Print a line for each module, in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m benches.import_time", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=20, metavar="N", help="number of runs (default: %(default)s)"
    )
    runs = [measure() for _ in range(parser.parse_args().runs)]
    print("import\tbest_ms\tmedian_ms\tbest_cpu_ms")
    for module, times in zip(MODULES, zip(*runs, strict=True), strict=True):
        wall, cpu = zip(*times, strict=True)
        print(f"{module}\t{min(wall):.1f}\t{statistics.median(wall):.1f}\t{min(cpu):.1f}")
    return 0


def measure() -> list[tuple[float, float]]:
    """Return the wall time and the CPU time of each import in milliseconds."""
    command = (sys.executable, "-c", CODE)
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    lines = [line.split() for line in output.stdout.splitlines()]
    return [(float(wall) * 1000, float(cpu) * 1000) for wall, cpu in lines]


if __name__ == "__main__":
    sys.exit(main())
