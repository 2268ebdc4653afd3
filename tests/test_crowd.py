"""A thousand connections at once on one loop, half accepted and half made, with OpenSSL's peers."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import IN_CI
from tests.cpython import doors
from tests.crowd import DESCRIPTORS, DOORS, EACH_WAY, OPENSSL, PATIENCE, CrowdResult
from tests.peers.pki import pki

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
LOOPS_OWN: Final = 2
"""Descriptors that uvloop opens for itself when it needs them."""
OURS: Final = [name for name in DOORS if name != OPENSSL]


@pytest.mark.parametrize("door", OURS)
def test_a_thousand_connections_at_once_are_served(door: str, tmp_path: Path) -> None:
    if door.endswith("uvloop") and not IN_CI:
        pytest.skip("takes long, so it is run with CI=true only")
    for needed in ("ssl", "asyncio"):
        if reason := doors.why_closed(needed):
            pytest.skip(reason)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < DESCRIPTORS:
        pytest.skip("too few descriptors are allowed")
    pki().write_to(tmp_path)
    with side(door, tmp_path) as near, side(OPENSSL, tmp_path) as far:
        exchange_ports(near, far)
        ours, theirs = result(near), result(far)
    served = (EACH_WAY, EACH_WAY)
    assert (ours.accepted, ours.answered, ours.errors) == (*served, [])
    assert (theirs.accepted, theirs.answered) == served
    assert ours.engine == 2 * EACH_WAY
    assert ours.threads == 1
    assert ours.left_open <= LOOPS_OWN


@contextmanager
def side(door: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run one side in a process of its own."""
    with subprocess.Popen(
        (sys.executable, "-m", "tests.crowd", door, str(folder)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def exchange_ports(*sides: subprocess.Popen[str]) -> None:
    """Tell each of two sides the port of the other one."""
    ports = [process.stdout.readline() for process in sides if process.stdout]
    for process, port in zip(sides, reversed(ports), strict=True):
        assert process.stdin is not None
        process.stdin.write(port)
        process.stdin.flush()


def result(process: subprocess.Popen[str]) -> CrowdResult:
    """Return the result of a side that has ended."""
    output, errors = process.communicate(timeout=PATIENCE + 20)
    assert process.returncode == 0, errors
    return CrowdResult(**json.loads(output))
