"""Cases: the libraries, and the data to transfer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benches import identity
from benches.bench import OURS, SECONDS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.records.work import ROOT
from benches.sockets.blocking import WAYS as BLOCKING
from benches.sockets.loops import MODULES
from benches.sockets.loops import WAYS as LOOPS
from benches.sockets.plan import PATIENCE, TransferCost, TransferPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = "plain TCP"
KINDS: Final = {"bulk": (1 << 18, 2048), "64 B messages": (64, 200_000)}
QUICKER: Final = 8


class SocketTransfer:
    """A transfer between two processes over a connection."""

    def __init__(self, plan: TransferPlan) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._plan = replace(plan, folder=self._folder.name)
        identity.write(Path(self._folder.name))
        self._seconds = 0.0
        self._sender = self._receiver = TransferCost(0, 0)

    def reset(self) -> None:
        pass

    def run(self) -> None:
        with ExitStack() as ends:
            receiver = self._start(replace(self._plan, role="receive"), ends)
            assert receiver.stdout is not None
            port = receiver.stdout.readline()
            assert port, f"{self._plan.way}: the receiver does not listen"
            sender = self._start(replace(self._plan, role="send", port=int(port)), ends)
            self._sender, self._receiver = _cost(sender), _cost(receiver)
        self._seconds += self._sender.seconds

    def check(self) -> None:
        """Check that data was sent; the ends themselves check and count the data."""
        assert self._sender.seconds > 0, f"{self._plan.way}: nothing was sent"

    def now(self) -> float:
        """Return the sum of the seconds from the first byte to the receiver's answer.

        They are measured by the sender's clock.
        """
        return self._seconds

    def measures(self) -> dict[str, float]:
        send, receive = self._sender.cpu, self._receiver.cpu
        return {"send_cpu": send, "receive_cpu": receive, "cpu": send + receive}

    def close(self) -> None:
        self._folder.cleanup()

    def _start(self, plan: TransferPlan, ends: ExitStack) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            (sys.executable, "-m", "benches.sockets.end", json.dumps(asdict(plan))),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | identity.environment(Path(plan.folder)),
        )
        ends.enter_context(process)
        ends.callback(process.kill)  # needed if the other end failed
        return process


def groups(quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases for bulk data and for messages."""
    for kind, (size, count) in KINDS.items():
        yield [_case(kind, way, size, count // QUICKER if quick else count) for way in WAYS]


WAYS: Final = (*BLOCKING, *LOOPS)


def _case(kind: str, way: str, size: int, count: int) -> BenchCase:
    return BenchCase(
        panel=kind,
        x="loopback",
        series=way,
        role=_role(way),
        units={"bytes": size * count, "messages": count},
        start=lambda: SocketTransfer(TransferPlan(way, "", "", size, count)),
        missing=_why_missing(way),
    )


def _role(way: str) -> CaseRole:
    if way == LIMIT:
        return CaseRole.LIMIT
    return CaseRole.OURS if way.startswith(OURS) else CaseRole.PEER


def _why_missing(way: str) -> str:
    absent = [name for name in MODULES.get(way, ()) if find_spec(name) is None]
    return f"not installed (pip install {' '.join(absent)})" if absent else ""


def _cost(process: subprocess.Popen[str]) -> TransferCost:
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, f"{process.args!r} ended with {process.returncode}"
    return TransferCost(**json.loads(output.splitlines()[-1]))


BENCH = Bench(
    name="sockets",
    about=f"one loopback TCP connection, {identity.SUITE}, a process for each end",
    groups=groups,
    columns=(
        TableColumn("MB_per_s", lambda row: 1e-6 / row.per("bytes"), ".1f"),
        TableColumn("messages_per_s", lambda row: 1 / row.per("messages"), ".0f"),
        TableColumn("sender_cpu_s_per_GB", lambda row: 1e9 * row.per("bytes", "send_cpu"), ".3f"),
        TableColumn(
            "receiver_cpu_s_per_GB", lambda row: 1e9 * row.per("bytes", "receive_cpu"), ".3f"
        ),
    ),
    pace=TimeBudget(turns=5),
    quick=TimeBudget(turns=1),
    compared=(SECONDS, "cpu"),
    log_scale=False,
    notes=("bulk: 256 KiB per call; cpu_vs_…: compares the CPU time of both ends together.",),
)
