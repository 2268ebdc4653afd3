"""``ktls_fast``: batches from a buffer into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.records.work import OVERHEAD, cut, unwire
from ktls_fast import Opener, Sealer

if TYPE_CHECKING:
    from benches.records.work import RecordJob


class BatchSealing:
    """``Sealer.seal_batch`` into a reused buffer."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        self._wire = bytearray(job.records * (job.size + OVERHEAD))
        pieces = cut(job.data, job.batch * job.size)
        outs = cut(self._wire, job.batch * (job.size + OVERHEAD))
        self._calls = list(zip(pieces, outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._sealer = Sealer(self._job.key.struct())

    def run(self) -> None:
        seal_batch, size = self._sealer.seal_batch, self._job.size
        for piece, out in self._calls:
            seal_batch(piece, record_size=size, out=out)

    def plaintext(self) -> bytes:
        return unwire(self._job.key, bytes(self._wire), self._job.size)


class BatchOpening:
    """``Opener.open_batch`` into a reused buffer."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job
        batches = cut(job.wire, job.batch * (job.size + OVERHEAD))
        outs = cut(bytearray(len(job.wire)), len(batches[0]))
        self._calls = list(zip(batches, outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._opener = Opener(self._job.key.struct())

    def run(self) -> None:
        open_batch = self._opener.open_batch
        for batch, out in self._calls:
            open_batch(batch, out)

    def plaintext(self) -> bytes:
        size = self._job.batch * self._job.size
        return b"".join(out[:size] for _, out in self._calls)
