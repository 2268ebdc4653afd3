"""The common parts of all implementations: the job, its data, and their interface."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.reference import APPLICATION_DATA, TLS13, TrafficKey, traffic_key

if TYPE_CHECKING:
    from tests.reference import Cipher

ROOT = Path(__file__).parents[2]
OVERHEAD = 22  # bytes of a TLS 1.3 record for header, content type and tag
# A round is long compared with the clock's resolution, and its buffers fit into the L2 cache of a
# core, unless a single batch is larger.
MIN_RECORDS, MAX_RECORDS, ROUND_BYTES = 8, 512, 1 << 17


@dataclass(frozen=True, slots=True)
class RecordJob:
    """The records to seal or open, for any implementation."""

    op: str
    cipher: Cipher
    size: int
    batch: int

    @property
    def records(self) -> int:
        """The number of records of a round: a power of two, and at least one batch."""
        fitting = min(max(ROUND_BYTES // self.size, MIN_RECORDS), MAX_RECORDS)
        return max(1 << (fitting.bit_length() - 1), self.batch)

    @property
    def key(self) -> TrafficKey:
        """The traffic key, for implementations that take one."""
        return traffic_key(TLS13, self.cipher)

    @property
    def data(self) -> bytes:
        """The plaintext of a round."""
        return _plaintext(self.size, self.records)

    @property
    def wire(self) -> bytes:
        """The records of that plaintext, sealed by the reference."""
        return _wire(self.key, self.size, self.records)

    def pieces(self) -> list[memoryview]:
        """Return the plaintext of each record."""
        return cut(self.data, self.size)

    def nonces(self) -> list[bytes]:
        """Return the nonce of each record."""
        iv = int.from_bytes(self.key.salt + self.key.iv, "big")
        return [(iv ^ seq).to_bytes(12, "big") for seq in range(self.records)]


class RecordWorker(Protocol):
    """An implementation that performs a job."""

    def reset(self) -> None:
        """Prepare the next round."""

    def run(self) -> None:
        """Seal or open the records of a round."""

    def plaintext(self) -> bytes:
        """Return the plaintext of the last round; sealed records are opened by the reference."""


def cut(buffer: bytes | bytearray, size: int) -> list[memoryview]:
    """Return consecutive views of ``size`` bytes each."""
    view = memoryview(buffer)
    return [view[start : start + size] for start in range(0, len(view), size)]


def unwire(key: TrafficKey, records: bytes, size: int) -> bytes:
    """Open records of ``size`` bytes by the reference, and return their plaintext."""
    opened = [
        key.open(bytes(record), nth=nth) for nth, record in enumerate(cut(records, size + OVERHEAD))
    ]
    assert all(record_type == APPLICATION_DATA for record_type, _ in opened)
    return b"".join(data for _, data in opened)


@cache
def _plaintext(size: int, records: int) -> bytes:
    return random.Random(size).randbytes(records * size)


@cache
def _wire(key: TrafficKey, size: int, records: int) -> bytes:
    pieces = cut(_plaintext(size, records), size)
    return b"".join(key.seal(bytes(piece), nth=nth) for nth, piece in enumerate(pieces))
