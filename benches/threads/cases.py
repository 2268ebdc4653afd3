"""Cases: the number of threads, and what they share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benches.bench import OURS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.threads.work import L2_RECORDS, ROUND, ThreadBatch, ThreadRound
from tests.reference import MAX_PLAINTEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ONE, TWO, TOGETHER = f"{OURS}, one thread", f"{OURS}, two threads", f"{OURS}, threads=2"
OWN, BATCH = "each thread its own key", "one batch of 16 MiB"
# Panel, series, role, and the batches of a round, each in a thread of its own.
WAYS: Final[tuple[tuple[str, str, CaseRole, Callable[[str], list[ThreadBatch]]], ...]] = (
    (OWN, TWO, CaseRole.OURS, lambda op: [ThreadBatch(op, L2_RECORDS) for _ in range(2)]),
    (OWN, ONE, CaseRole.SCALE, lambda op: [ThreadBatch(op, L2_RECORDS)]),
    (
        BATCH,
        TOGETHER,
        CaseRole.OURS,
        lambda op: [ThreadBatch(op, ROUND // MAX_PLAINTEXT, threads=2)],
    ),
    (BATCH, ONE, CaseRole.SCALE, lambda op: [ThreadBatch(op, ROUND // MAX_PLAINTEXT)]),
)


def groups(_quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases by what is shared and by operation."""
    for panel in (OWN, BATCH):
        for op in ("seal", "open"):
            ways = [way for way in WAYS if way[0] == panel]
            yield [
                BenchCase(
                    panel=panel,
                    x=op,
                    series=series,
                    role=role,
                    units={"bytes": ROUND},
                    start=partial(_start, make, op),
                )
                for _, series, role, make in ways
            ]


def _start(make: Callable[[str], list[ThreadBatch]], op: str) -> ThreadRound:
    return ThreadRound(make(op))


BENCH = Bench(
    name="threads",
    about="records of 16 KiB, sealed and opened by one thread and by two",
    groups=groups,
    columns=(TableColumn("MB_per_s", lambda row: 1e-6 / row.per("bytes"), ".0f"),),
    pace=TimeBudget(turns=24, budget=0.02),
    quick=TimeBudget(turns=7, budget=0.01),
    notes=("A thread's own buffers of 8 records fit into its cache; a batch of 16 MiB does not.",),
)
