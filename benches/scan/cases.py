"""Cases: the records to scan, and the scanners."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from benches.bench import OURS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.scan import work
from benches.scan.work import RECORDS, RecordMix, ScanWork

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES: Final = (64, 1400, 16384)
MIXES: Final = {
    "data only": RecordMix(0, updates=False),
    "a ticket in 64 records": RecordMix(64, updates=False),
    "a KeyUpdate in 64 records": RecordMix(64, updates=True),
    "handshake only": RecordMix(1, updates=False),
}
SCANS: Final = {
    OURS: (CaseRole.OURS, work.ours),
    "numpy": (CaseRole.PEER, work.with_numpy),
    "python loop": (CaseRole.PEER, work.in_python),
}


def groups(_quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases by mix and size."""
    for mix, size in product(MIXES, SIZES):
        yield [_case(mix, size, name) for name in SCANS]


def _case(mix: str, size: int, name: str) -> BenchCase:
    role, scan = SCANS[name]
    return BenchCase(
        panel=mix,
        x=str(size),
        series=name,
        role=role,
        units={"records": RECORDS, "bytes": RECORDS * size},
        start=lambda: ScanWork(MIXES[mix], size, scan),
    )


BENCH = Bench(
    name="scan",
    about=f"search for KeyUpdates in batches of {RECORDS} opened records",
    groups=groups,
    columns=(
        TableColumn("GB_per_s", lambda row: 1e-9 / row.per("bytes"), ".2f"),
        TableColumn("ns_per_record", lambda row: 1e9 * row.per("records"), ".2f"),
    ),
    pace=TimeBudget(turns=24, budget=0.003),
    quick=TimeBudget(turns=5, budget=0.001),
    notes=("Only handshake records are read, so the rate for data only is not a memory rate.",),
)
