"""Sealing and opening of records with a key update after each stretch of records."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import repeat
from time import thread_time
from typing import TYPE_CHECKING, Final

from benches.records.suites import traffic_key
from benches.records.work import OVERHEAD
from ktls_fast import Opener, Sealer, TrafficSecret, key_update_message
from tests.reference import AES_GCM_128, APPLICATION_DATA, HANDSHAKE, hkdf_expand_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ktls_fast import OpenedBatch
    from tests.reference import TrafficKey

BATCH: Final = 64
FIRST: Final = bytes(range(32))
KEY_UPDATE: Final = key_update_message()


@dataclass(frozen=True, slots=True)
class RekeyJob:
    """Records of a size in equal stretches, which end with a key update if ``rekeys``."""

    size: int
    stretch: int
    """The number of records between two key updates; 0 for key updates only."""
    stretches: int
    rekeys: bool

    @property
    def records(self) -> int:
        """The number of records of a round; KeyUpdates count only without other records."""
        return self.stretches * (self.stretch or 1)

    @property
    def plaintext(self) -> bytes:
        """The plaintext of each record."""
        return random.Random(self.size).randbytes(self.size)

    @property
    def data(self) -> bytes:
        """The plaintext of the longest call."""
        return self.plaintext * min(self.stretch, BATCH)

    def batches(self) -> list[int]:
        """Return the number of records of each call within a stretch."""
        full, rest = divmod(self.stretch, BATCH)
        return [*repeat(BATCH, full), *([rest] if rest else [])]

    def last_key(self) -> TrafficKey:
        """Return the traffic key of the last stretch, computed by the reference."""
        secret = FIRST
        for _ in range(self.stretches - 1 if self.rekeys else 0):
            secret = hkdf_expand_label("sha256", secret, "traffic upd", 32)
        return traffic_key(AES_GCM_128, secret)


class ThreadTimedWork:
    """Work that is timed by the CPU time of its thread, as its rounds are often interrupted."""

    def now(self) -> float:
        return thread_time()

    def close(self) -> None:
        pass


class RekeySealing(ThreadTimedWork):
    """``seal_batch``, and at each rekey: the KeyUpdate, the next secret, its key."""

    def __init__(self, job: RekeyJob) -> None:
        self._job = job
        self._data = job.data
        self._out = bytearray(BATCH * (job.size + OVERHEAD))
        view = memoryview(self._data)
        self._pieces = [view[: count * job.size] for count in job.batches()]
        self.reset()

    def reset(self) -> None:
        self._secret = TrafficSecret(0x1301, FIRST)
        self._sealer = Sealer(self._secret.crypto_info())
        self._update = b""

    def run(self) -> None:
        seal_batch, size, out = self._sealer.seal_batch, self._job.size, self._out
        for _ in range(self._job.stretches):
            for piece in self._pieces:
                seal_batch(piece, record_size=size, out=out)
            if self._job.rekeys:
                self._rekey()

    def check(self) -> None:
        """Check the last KeyUpdate, and the first record of the last batch."""
        key, batches = self._job.last_key(), self._job.batches()
        # Without key updates, all stretches are sealed by the first key.
        before = 0 if self._job.rekeys else (self._job.stretches - 1) * self._job.stretch
        if self._job.rekeys:
            opened = key.open(self._update, nth=self._job.stretch)
            assert opened == (HANDSHAKE, KEY_UPDATE), f"{self._job}: wrong KeyUpdate"
        if batches:
            record = bytes(self._out[: self._job.size + OVERHEAD])
            opened = key.open(record, nth=before + sum(batches[:-1]))
            wanted = (APPLICATION_DATA, self._job.plaintext)
            assert opened == wanted, f"{self._job}: wrong bytes"

    def _rekey(self) -> None:
        self._update = self._sealer.seal(KEY_UPDATE, HANDSHAKE)
        self._secret = self._secret.next()
        self._sealer.rekey(self._secret.crypto_info())


class RekeyOpening(ThreadTimedWork):
    """``open_batch``, which stops at each KeyUpdate; then the next key is installed."""

    def __init__(self, job: RekeyJob) -> None:
        self._job = job
        self._wire = memoryview(b"".join(_wire(job)))
        self._out = bytearray(BATCH * (job.size + OVERHEAD))
        self.reset()

    def reset(self) -> None:
        self._secret = TrafficSecret(0x1301, FIRST)
        self._opener = Opener(self._secret.crypto_info())
        self._opened = 0
        self._last: OpenedBatch | None = None

    def run(self) -> None:
        at, step, wire, out = 0, len(self._out), self._wire, self._out
        open_batch = self._opener.open_batch
        while at < len(wire):
            batch = open_batch(wire[at : at + step], out)
            at += batch.consumed
            self._opened += len(batch)
            self._last = batch
            if batch.stopped == "key_update":
                self._secret = self._secret.next()
                self._opener.rekey(self._secret.crypto_info())

    def check(self) -> None:
        """Check that all records were opened and all KeyUpdates were followed."""
        updates = self._job.stretches if self._job.rekeys else 0
        found = (self._opened, self._opener.generation)
        wanted = (self._job.stretches * self._job.stretch + updates, updates)
        assert found == wanted, f"{self._job}: records and generation are {found}, not {wanted}"
        assert self._last is not None
        texts = {APPLICATION_DATA: self._job.plaintext, HANDSHAKE: KEY_UPDATE}
        expected = b"".join(texts[record_type] for record_type in self._last.types.tolist())
        assert self._last.data == expected, f"{self._job}: wrong bytes"


def _wire(job: RekeyJob) -> Iterator[bytes]:
    """Yield the records of a round, sealed by a Sealer, which other cases check."""
    secret, data = TrafficSecret(0x1301, FIRST), job.data
    sealer = Sealer(secret.crypto_info())
    for _ in range(job.stretches):
        for count in job.batches():
            yield bytes(sealer.seal_batch(data[: count * job.size], record_size=job.size).wire)
        if job.rekeys:
            yield sealer.seal(KEY_UPDATE, HANDSHAKE)
            secret = secret.next()
            sealer.rekey(secret.crypto_info())
