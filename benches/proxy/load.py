"""The load by wrk, and a request before it whose response is checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from benches import identity, programs
from benches.identity import SUITE
from benches.proxy.servers import HOST
from benches.records.work import ROOT

SCRIPT: Final = Path(__file__).with_name("summary.lua")
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class WrkResult:
    """The result of a run of wrk."""

    seconds: float
    requests: int


def fetch_checked(folder: Path, port: int, name: str) -> None:
    """Fetch a file in a process whose OpenSSL has only one cipher suite, and check it."""
    output = subprocess.run(
        (sys.executable, "-m", "benches.proxy.fetch", str(folder), str(port), name),
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=ROOT,
        env=_environment(folder),
    )
    suite, digest = output.stdout.split()
    assert suite == SUITE, f"the proxy on port {port} chose {suite}, not {SUITE}"
    wanted = sha256((folder / "files" / name).read_bytes()).hexdigest()
    assert digest == wanted, f"wrong bytes from the proxy on port {port}"


def put(folder: Path, port: int, name: str, connections: int, seconds: float) -> WrkResult:
    """Run wrk with ``connections`` connections for ``seconds`` seconds."""
    wrk = programs.find("wrk")
    assert wrk is not None, programs.why_missing("wrk")
    # wrk takes whole seconds only. A request may take as long as the run.
    options = (f"-c{connections}", "-t1", f"-d{max(round(seconds), 1)}s", "--timeout", "30s")
    output = subprocess.run(
        (wrk, *options, "-s", str(SCRIPT), f"https://{HOST}:{port}/{name}"),
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE + seconds,
        env=_environment(folder),
    )
    summary = json.loads(output.stdout.splitlines()[-1])
    assert not summary["errors"], f"{summary['errors']} requests failed on port {port}"
    return WrkResult(summary["microseconds"] / 1e6, summary["requests"])


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | identity.environment(folder)
