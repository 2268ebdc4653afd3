"""Cases: the time of a submit, and the throughput of a caller that has other work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benches.bench import OURS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.queue.work import BLOCK, BLOCKS, RECORD, HashAndSendWork, SubmitWork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.bench import BenchWork

WORKERS: Final = (1, 2)
BATCHES: Final = (64, 240)
SUBMIT, PRODUCE = "submit, 16 KiB records", "send and hash, 16 KiB records"


def groups(quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases by group, first the software path, which the queue is compared with."""
    for records in BATCHES:
        work, size = partial(SubmitWork, records), records * RECORD
        yield [_case(SUBMIT, f"{records} a call", work, size, workers) for workers in (0, *WORKERS)]
    size = BLOCK * BLOCKS
    yield [
        _case(PRODUCE, "256 KiB a call", HashAndSendWork, size, workers)
        for workers in (0, *WORKERS)
    ]


def _case(
    panel: str, x: str, work: Callable[[int], BenchWork], size: int, workers: int
) -> BenchCase:
    return BenchCase(
        panel=panel,
        x=x,
        series=f"{OURS}, queue of {workers}" if workers else f"{OURS}, software path",
        role=CaseRole.OURS if workers else CaseRole.PEER,
        units={"records": size / RECORD, "bytes": size},
        start=partial(work, workers),
    )


BENCH = Bench(
    name="queue",
    about="an offload queue against the software path, AES-128-GCM over loopback TCP",
    groups=groups,
    columns=(
        TableColumn("ns_per_record", lambda row: 1e9 * row.per("records")),
        TableColumn("GB_per_s", lambda row: 1e-9 / row.per("bytes"), ".2f"),
    ),
    log_scale=False,
    pace=TimeBudget(turns=24, budget=0.05),
    quick=TimeBudget(turns=6, budget=0.02),
    notes=(
        "submit: the time of the caller's thread only, including the wake-up of a sleeping worker;",
        "the software path seals and writes in this thread.",
        "send and hash: SHA-256 of each block, then its send, until the reader has received all.",
    ),
)
