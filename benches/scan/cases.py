"""Cases: the records to scan, and the scanners."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from benches.bench import OURS, Bench, Case, Column, Pace, Role
from benches.scan import work
from benches.scan.work import RECORDS, Mix, Scanning

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES: Final = (64, 1400, 16384)
MIXES: Final = {
    "data only": Mix(0, updates=False),
    "a ticket in 64 records": Mix(64, updates=False),
    "a KeyUpdate in 64 records": Mix(64, updates=True),
    "handshake only": Mix(1, updates=False),
}
SCANS: Final = {
    OURS: (Role.OURS, work.ours),
    "numpy": (Role.PEER, work.with_numpy),
    "python loop": (Role.PEER, work.in_python),
}


def groups(_quick: bool) -> Iterator[list[Case]]:
    """Yield the cases by mix and size."""
    for mix, size in product(MIXES, SIZES):
        yield [_case(mix, size, name) for name in SCANS]


def _case(mix: str, size: int, name: str) -> Case:
    role, scan = SCANS[name]
    return Case(
        panel=mix,
        x=str(size),
        series=name,
        role=role,
        units={"records": RECORDS, "bytes": RECORDS * size},
        start=lambda: Scanning(MIXES[mix], size, scan),
    )


BENCH = Bench(
    name="scan",
    about=f"search for KeyUpdates in batches of {RECORDS} opened records",
    groups=groups,
    columns=(
        Column("GB_per_s", lambda row: 1e-9 / row.per("bytes"), ".2f"),
        Column("ns_per_record", lambda row: 1e9 * row.per("records"), ".2f"),
    ),
    pace=Pace(turns=24, budget=0.003),
    quick=Pace(turns=5, budget=0.001),
    notes=("Only handshake records are read, so the rate for data only is not a memory rate.",),
)
