"""Cases: the implementations, ciphers, sizes and batches."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from benches.bench import OURS, SECONDS, Bench, BenchCase, CaseRole, TableColumn, TimeBudget
from benches.records import aead, by_hand, openssl_peer, ours, raw, ssl_peer
from benches.records.work import RecordJob
from tests.reference import AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305, MAX_PLAINTEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.records.work import RecordWorker

CIPHERS = (AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305)  # those of every implementation
SIZES = (16, 64, 256, 1400, 4096, 16384)
BATCHES = (1, 8, 64, 512)
LIMIT = "libipsec-mb"
AWS_LC, IPSEC_MB = (partial(raw.AeadProgramWork, path=path) for path in (raw.AWS_LC, raw.IPSEC_MB))
WORKERS: dict[
    str, tuple[CaseRole, Callable[[RecordJob], RecordWorker], Callable[[RecordJob], RecordWorker]]
] = {
    OURS: (CaseRole.OURS, ours.BatchSealing, ours.BatchOpening),
    "cryptography": (CaseRole.PEER, aead.AeadSealing, aead.AeadOpening),
    "python loop": (CaseRole.PEER, by_hand.PythonSealing, by_hand.PythonOpening),
    "ssl": (CaseRole.PEER, ssl_peer.SslSealing, ssl_peer.SslOpening),
    "pyOpenSSL": (CaseRole.PEER, openssl_peer.PyOpenSslSealing, openssl_peer.PyOpenSslOpening),
    "aws-lc-rs": (CaseRole.SCALE, AWS_LC, AWS_LC),
    LIMIT: (CaseRole.LIMIT, IPSEC_MB, IPSEC_MB),
    "memcpy": (CaseRole.SCALE, aead.MemoryCopy, aead.MemoryCopy),
}
PROGRAMS = {"aws-lc-rs": raw.AWS_LC, LIMIT: raw.IPSEC_MB}


class RecordWork:
    """A worker whose result is checked against the plaintext."""

    def __init__(self, job: RecordJob, worker: RecordWorker) -> None:
        self._job, self._worker = job, worker
        self.reset, self.run = worker.reset, worker.run
        self.close = getattr(worker, "close", lambda: None)
        if hasattr(worker, "now"):
            self.now = worker.now

    def check(self) -> None:
        assert self._worker.plaintext() == self._job.data, f"{self._job}: wrong bytes"


def groups(quick: bool) -> Iterator[list[BenchCase]]:
    """Yield the cases by operation, cipher and size."""
    sizes = SIZES[1::2] if quick else SIZES
    for op, cipher, size in product(("seal", "open"), CIPHERS, sizes):
        yield [
            _case(RecordJob(op, cipher, size, batch), name)
            for name in WORKERS
            for batch in _batches(op, size, name)
        ]


def _case(job: RecordJob, name: str) -> BenchCase:
    role, sealing, opening = WORKERS[name]
    maker = sealing if job.op == "seal" else opening
    return BenchCase(
        panel=f"{job.op}/{job.cipher.name}",
        x=str(job.size),
        series=_series(name, job.batch),
        role=role,
        units={"records": job.records, "bytes": job.records * job.size},
        start=lambda: RecordWork(job, maker(job)),
        missing=raw.why_missing(PROGRAMS[name]) if name in PROGRAMS else "",
    )


def _series(name: str, batch: int) -> str:
    return f"{name} x{batch}" if name == OURS or batch > 1 else name


def _batches(op: str, size: int, name: str) -> tuple[int, ...]:
    """Return the batch sizes of an implementation; ``ssl`` splits a long write into records."""
    if name == OURS or (name == "ssl" and op == "seal" and size == MAX_PLAINTEXT):
        return BATCHES
    return (1,)


BENCH = Bench(
    name="records",
    about="TLS 1.3 records, sealed and opened in memory on one core",
    groups=groups,
    columns=(
        TableColumn("MB_per_s", lambda row: 1e-6 / row.per("bytes"), ".0f"),
        TableColumn("ns_per_record", lambda row: 1e9 * row.per("records")),
    ),
    pace=TimeBudget(turns=24, budget=0.004),
    quick=TimeBudget(turns=5, budget=0.002),
    compared=(SECONDS,),
    notes=(
        "cryptography, aws-lc-rs and libipsec-mb are AEADs only, nonces and headers precomputed.",
        "vs_limit: against libipsec-mb with one record at a time; memcpy only copies the data.",
    ),
)
