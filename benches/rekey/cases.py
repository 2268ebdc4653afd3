"""Cases: key updates in different intervals."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from benches.bench import OURS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.records.work import OVERHEAD
from benches.rekey.work import RekeyJob, RekeyOpening, RekeySealing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.bench import BenchWork

SIZES: Final = (64, 16384)
STRETCHES: Final = sorted([0, 1000, *(1 << k for k in range(21))])
QUICK: Final = (0, 1, 32, 1000)
LEAST_RECORDS: Final = 512
# The maximum of bytes of a round. It is lower for opening, where all records are in memory.
MAX_BYTES: Final = {"seal": 1 << 30, "open": 1 << 26}
WORKERS: Final[dict[str, Callable[[RekeyJob], BenchWork]]] = {
    "seal": RekeySealing,
    "open": RekeyOpening,
}
WITH, WITHOUT = f"{OURS}, rekeying", f"{OURS}, never"


def groups(quick: bool) -> Iterator[list[BenchCase]]:
    """Yield pairs of cases, with and without key updates, of the same records."""
    for op, size in product(WORKERS, SIZES):
        for stretch in QUICK if quick else STRETCHES:
            if stretch * (size + OVERHEAD) <= MAX_BYTES[op]:
                yield list(_pair(op, size, stretch))


def _pair(op: str, size: int, stretch: int) -> Iterator[BenchCase]:
    stretches = max(LEAST_RECORDS // (stretch or 1), 1)
    yield _case(op, RekeyJob(size, stretch, stretches, rekeys=True))
    if stretch:
        yield _case(op, RekeyJob(size, stretch, stretches, rekeys=False))


def _case(op: str, job: RekeyJob) -> BenchCase:
    return BenchCase(
        panel=f"{op}/{job.size} B/key update every",
        x=f"{job.stretch}" if job.stretch else "alone",
        series=WITH if job.rekeys else WITHOUT,
        role=CaseRole.OURS if job.rekeys else CaseRole.LIMIT,
        units={"records": job.records},
        start=lambda: WORKERS[op](job),
    )


BENCH = Bench(
    name="rekey",
    about="key updates in different intervals, AES-128-GCM, up to 64 records per call",
    groups=groups,
    columns=(
        TableColumn("records_per_s", lambda row: 1 / row.per("records"), ".0f"),
        TableColumn("ns_per_record", lambda row: 1e9 * row.per("records")),
    ),
    log_scale=False,
    pace=TimeBudget(turns=12, budget=0.004),
    quick=TimeBudget(turns=6, budget=0.004),
    notes=(
        "vs_limit: against the same records under one key, by CPU time of the thread.",
        "alone: no data; KeyUpdates are counted, each with the next secret and its key.",
    ),
)
