"""What every bench shares: the case, its bytes, and what an implementation must be able to do."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from tests.reference import APPLICATION_DATA, TLS13, TrafficKey, traffic_key

if TYPE_CHECKING:
    from tests.reference import Cipher

RECORDS = 64  # in one timed round, whatever the batch: a round is long against the clock's grain
OVERHEAD = 22  # of a TLS 1.3 record: header, content type, tag


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    op: str
    cipher: Cipher
    size: int
    batch: int
    impl: str

    @property
    def name(self) -> str:
        """``op/cipher/size/batch/impl``."""
        return f"{self.op}/{self.cipher.name}/{self.size}/{self.batch}/{self.impl}"

    @property
    def key(self) -> TrafficKey:
        """The traffic key, the same for every implementation that can be given one."""
        return traffic_key(TLS13, self.cipher)


class Work(Protocol):
    """An implementation at work on one case. Only :meth:`run` is timed."""

    def reset(self) -> None:
        """Make ready for the next round."""

    def run(self) -> None:
        """Seal or open ``RECORDS`` records."""

    def plaintext(self) -> bytes:
        """Give what the last round made; a sealer's records are opened by the reference."""


@cache
def plaintext(size: int) -> bytes:
    """All plaintext of a round, in records of ``size`` bytes."""
    return random.Random(size).randbytes(RECORDS * size)


@cache
def wire(key: TrafficKey, size: int) -> bytes:
    """The records of that plaintext, made by the reference."""
    pieces = cut(plaintext(size), size)
    return b"".join(key.seal(bytes(piece), nth=nth) for nth, piece in enumerate(pieces))


def unwire(key: TrafficKey, records: bytes, size: int) -> bytes:
    """The plaintext of records of ``size`` bytes, opened by the reference."""
    opened = [
        key.open(bytes(record), nth=nth) for nth, record in enumerate(cut(records, size + OVERHEAD))
    ]
    assert all(record_type == APPLICATION_DATA for record_type, _ in opened)
    return b"".join(data for _, data in opened)


def cut(buffer: bytes | bytearray, size: int) -> list[memoryview]:
    """Views of ``size`` bytes each, back to back."""
    view = memoryview(buffer)
    return [view[start : start + size] for start in range(0, len(view), size)]
