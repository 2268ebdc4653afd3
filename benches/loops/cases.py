"""Cases: the kinds of servers, the sizes, and the settings of malloc."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benches import identity
from benches.bench import SECONDS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.loops.load import LoadingClient, LoopServer, on_another_core
from benches.loops.ways import ASYNCIO, WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PANELS: Final = {
    "asyncio streams": "streams",
    "asyncio protocol": "protocol",
    "aiohttp download": "aiohttp",
}
SIZES: Final = {"1 MiB": (1 << 20, 150), "16 KiB": (1 << 14, 2000), "5 B": (5, 4000)}
"""The sizes in bytes of messages or bodies, and the number of them in a round."""
QUICK_PANELS: Final = ("asyncio protocol", "aiohttp download")
QUICK_SIZES: Final = ("1 MiB", "5 B")
QUICKER: Final = 4
# By default, glibc returns large blocks to the system when they are freed, so that the next
# allocation causes page faults. How often that happens depends on the sizes of the allocations.
MALLOC: Final[dict[str, Mapping[str, str]]] = {
    "": {},
    ", kept memory": {
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    },
}
CPU: Final = "cpu"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The server of a case, and the load for it."""

    way: str
    kind: str
    size: int
    count: int
    settings: Mapping[str, str]


class LoadedServer:
    """A server under load in each round, whose CPU time is measured."""

    def __init__(self, plan: LoadPlan) -> None:
        self._count, self._seconds, self._cpu = plan.count, 0.0, 0.0
        self._taken_over = int(WAYS[plan.way].role is CaseRole.OURS)
        with ExitStack() as ends:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
            identity.write(folder)
            self._server = LoopServer(plan.way, plan.kind, plan.size, folder, plan.settings)
            ends.callback(self._server.close)
            self._client = LoadingClient(plan.kind, plan.size, self._server.port, folder)
            ends.callback(self._client.close)
            self._client.check()
            self._ends = ends.pop_all()

    def reset(self) -> None:
        pass

    def run(self) -> None:
        with on_another_core():
            cpu, start = self._server.cpu_seconds(), perf_counter()
            self._client.load(self._count)
            self._seconds += perf_counter() - start
            self._cpu = self._server.cpu_seconds() - cpu

    def check(self) -> None:
        """Check that the server still answers, and that the right engine carries its records."""
        self._client.check()
        assert self._server.taken_over() == self._taken_over, "the wrong records were measured"

    def now(self) -> float:
        """Return the sum of the seconds of all rounds."""
        return self._seconds

    def measures(self) -> dict[str, float]:
        return {CPU: self._cpu}

    def close(self) -> None:
        self._ends.close()


def groups(quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases by panel, setting of malloc, and size."""
    panels, sizes = (QUICK_PANELS, QUICK_SIZES) if quick else (PANELS, SIZES)
    chosen = [name for name, way in WAYS.items() if not quick or way.loop == ASYNCIO]
    for panel, malloc, size in product(panels, ("",) if quick else MALLOC, sizes):
        yield [_case(panel, malloc, size, name, quick=quick) for name in chosen]


def _case(panel: str, malloc: str, size: str, way: str, *, quick: bool) -> BenchCase:
    kind, (length, count) = PANELS[panel], SIZES[size]
    plan = LoadPlan(way, kind, length, count // QUICKER if quick else count, MALLOC[malloc])
    return BenchCase(
        panel=panel + malloc,
        x=size,
        series=way,
        role=WAYS[way].role,
        units={"bytes": length * plan.count, "messages": plan.count},
        start=lambda: LoadedServer(plan),
        missing=WAYS[way].why_missing(*(["aiohttp"] if kind == "aiohttp" else [])),
    )


BENCH = Bench(
    name="loops",
    about=f"servers in an event loop, one connection, {identity.SUITE}, the peer on another core",
    groups=groups,
    columns=(
        TableColumn("server_cpu_us", lambda row: 1e6 * row.per("messages", CPU), ".1f"),
        TableColumn("server_cpu_s_per_GB", lambda row: 1e9 * row.per("bytes", CPU), ".3f"),
        TableColumn("us", lambda row: 1e6 * row.per("messages"), ".1f"),
    ),
    pace=TimeBudget(turns=5),
    quick=TimeBudget(turns=1),
    compared=(CPU, SECONDS),
    notes=(
        "per message received and returned, or per response; the peer is a Connection.",
        "kept memory: glibc's malloc is configured to keep freed memory, see docs/benches.md.",
    ),
)
