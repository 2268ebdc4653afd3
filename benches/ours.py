"""``ktls_fast``: batches from one buffer into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.work import OVERHEAD, RECORDS, cut, plaintext, unwire, wire
from ktls_fast import Opener, Sealer

if TYPE_CHECKING:
    from benches.work import Case


class Sealing:
    """``Sealer.seal_batch`` into a reused buffer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._wire = bytearray(RECORDS * (case.size + OVERHEAD))
        pieces = cut(plaintext(case.size), case.batch * case.size)
        outs = cut(self._wire, case.batch * (case.size + OVERHEAD))
        self._jobs = list(zip(pieces, outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._sealer = Sealer(self._case.key.struct())

    def run(self) -> None:
        seal_batch, size = self._sealer.seal_batch, self._case.size
        for piece, out in self._jobs:
            seal_batch(piece, record_size=size, out=out)

    def plaintext(self) -> bytes:
        return unwire(self._case.key, bytes(self._wire), self._case.size)


class Opening:
    """``Opener.open_batch`` into a reused buffer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        batches = cut(wire(case.key, case.size), case.batch * (case.size + OVERHEAD))
        outs = cut(bytearray(sum(map(len, batches))), len(batches[0]))
        self._jobs = list(zip(batches, outs, strict=True))
        self.reset()

    def reset(self) -> None:
        self._opener = Opener(self._case.key.struct())

    def run(self) -> None:
        open_batch = self._opener.open_batch
        for batch, out in self._jobs:
            open_batch(batch, out)

    def plaintext(self) -> bytes:
        size = self._case.batch * self._case.size
        return b"".join(out[:size] for _, out in self._jobs)
