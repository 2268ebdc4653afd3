"""The same data, sealed or opened by one thread or by several."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from benches.records.work import OVERHEAD
from ktls_fast import Opener, Sealer
from tests.reference import AES_GCM_128, MAX_PLAINTEXT, TLS13, traffic_key

if TYPE_CHECKING:
    from collections.abc import Callable

KEY: Final = traffic_key(TLS13, AES_GCM_128)
INFO: Final = KEY.struct()
L2_RECORDS: Final = 8
"""Number of records of a batch whose plaintext and wire fit into the L2 cache of a core."""
ROUND: Final = 16 << 20
"""Number of bytes of plaintext in a round, over all threads."""


class ThreadBatch:
    """A batch of records of 16 KiB, sealed or opened from one buffer into another."""

    def __init__(self, op: str, records: int, threads: int = 1) -> None:
        self.data = bytes(range(256)) * (records * MAX_PLAINTEXT // 256)
        sealed = Sealer(INFO).seal_batch(self.data).wire
        self._threads = threads
        self._seals = op == "seal"
        self._wire = bytes(sealed)
        self._out = bytearray(records * (MAX_PLAINTEXT + OVERHEAD))
        self._sealer, self._opener = Sealer(INFO), Opener(INFO)

    def run(self) -> None:
        """Seal or open the batch, starting with the first sequence number."""
        if self._seals:
            self._sealer.rekey(INFO)
            self._sealer.seal_batch(self.data, out=self._out, threads=self._threads)
        else:
            self._opener.rekey(INFO)
            self._opener.open_batch(self._wire, self._out, threads=self._threads)

    def is_done(self) -> bool:
        """Return True if the output is correct."""
        want = self._wire if self._seals else self.data
        return self._out[: len(want)] == want


class ThreadRound:
    """A round of batches, with a thread for each batch."""

    def __init__(self, batches: list[ThreadBatch]) -> None:
        self._batches = batches
        self._times = ROUND // len(batches[0].data) // len(batches)
        self._pool = ThreadPoolExecutor(len(batches))
        self._work: list[Callable[[], None]] = [self._repeated(batch) for batch in batches]

    def _repeated(self, batch: ThreadBatch) -> Callable[[], None]:
        def work() -> None:
            for _ in range(self._times):
                batch.run()

        return work

    def reset(self) -> None:
        pass

    def run(self) -> None:
        wait([self._pool.submit(work) for work in self._work])

    def check(self) -> None:
        assert all(batch.is_done() for batch in self._batches), "wrong bytes"

    def close(self) -> None:
        self._pool.shutdown()
