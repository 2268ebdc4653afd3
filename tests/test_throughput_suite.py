"""The suite of pytest-benchmark in ``benches`` works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_case_of_the_benchmark_suite_seals_and_opens_the_right_bytes() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "benches", "--benchmark-disable"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "90 passed" in done.stdout
