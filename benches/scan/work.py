"""Scanners over the arrays of an opened batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ktls_fast import KeyUpdateFound, key_update_message, scan_key_updates
from tests.reference import APPLICATION_DATA, HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

RECORDS: Final = 512
KEY_UPDATE: Final = key_update_message(request=True)
TICKET_TYPE, KEY_UPDATE_TYPE = 4, 24
# The number of the record, and whether an update is requested. KeyUpdateFound has more values.
Found = Sequence[tuple[int, bool] | KeyUpdateFound]


@dataclass(frozen=True, slots=True)
class ScanBatch:
    """The arrays of an opened batch, as ``open_batch`` returns them."""

    types: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    data: memoryview


@dataclass(frozen=True, slots=True)
class RecordMix:
    """The handshake records among the records, and their contents."""

    every: int
    """Every n-th record is a handshake record; 0 for none."""
    updates: bool
    """Whether a handshake record ends with a KeyUpdate; otherwise it has only tickets."""

    def record(self, nth: int, size: int) -> tuple[int, bytes]:
        """Return the content type and the plaintext of a record."""
        if not self.every or (nth + 1) % self.every:
            return APPLICATION_DATA, bytes(size)
        update = KEY_UPDATE if self.updates else b""
        return HANDSHAKE, _tickets(size - len(update)) + update

    def batch(self, size: int) -> ScanBatch:
        """Return all records as one batch, although an opener would stop at a KeyUpdate."""
        pieces = [self.record(nth, size) for nth in range(RECORDS)]
        lengths = np.array([len(data) for _, data in pieces], np.int64)
        types = np.array([record_type for record_type, _ in pieces], np.uint8)
        offsets = np.cumsum(lengths) - lengths
        return ScanBatch(types, offsets, lengths, memoryview(b"".join(data for _, data in pieces)))

    def wanted(self) -> Found:
        """Return what a scan must find."""
        if not self.every or not self.updates:
            return []
        return [(nth, True) for nth in range(self.every - 1, RECORDS, self.every)]


class ScanWork:
    """A scanner at work on a batch."""

    def __init__(self, mix: RecordMix, size: int, scan: Callable[[ScanBatch], Found]) -> None:
        self._batch, self._wanted, self._scan = mix.batch(size), mix.wanted(), scan
        self._found: Found = []

    def reset(self) -> None:
        self._found = []

    def run(self) -> None:
        self._found = self._scan(self._batch)

    def check(self) -> None:
        found = [(each[0], each[1]) for each in self._found]
        assert found == self._wanted, f"found {found[:3]} …, not {self._wanted[:3]} …"

    def close(self) -> None:
        pass


def ours(batch: ScanBatch) -> Found:
    """Scan by ``scan_key_updates``."""
    return scan_key_updates(batch.types, batch.offsets, batch.lengths, batch.data)


def in_python(batch: ScanBatch) -> Found:
    """Scan each record in Python."""
    columns = (batch.types.tolist(), batch.offsets.tolist(), batch.lengths.tolist())
    return _scan(enumerate(zip(*columns, strict=True)), batch.data)


def with_numpy(batch: ScanBatch) -> Found:
    """Scan the handshake records in Python, after NumPy has found them."""
    at = np.flatnonzero(batch.types == HANDSHAKE)
    columns = (batch.types[at].tolist(), batch.offsets[at].tolist(), batch.lengths[at].tolist())
    return _scan(zip(at.tolist(), zip(*columns, strict=True), strict=True), batch.data)


def _scan(records: Iterable[tuple[int, tuple[int, int, int]]], data: memoryview) -> Found:
    found: list[tuple[int, bool]] = []
    unread = b""
    for nth, (record_type, offset, length) in records:
        if record_type != HANDSHAKE:
            continue
        unread += data[offset : offset + length]
        while len(unread) >= 4 and len(unread) >= (size := 4 + int.from_bytes(unread[1:4])):
            if unread[0] == KEY_UPDATE_TYPE:
                found.append((nth, bool(unread[4])))
            unread = unread[size:]
    return found


def _tickets(size: int) -> bytes:
    """Return NewSessionTickets of up to 256 bytes each that fill ``size`` bytes."""
    lengths = [256] * (size // 256)
    rest = size - sum(lengths)
    if lengths and rest < 4:
        lengths[-1] -= 4
        rest += 4
    return b"".join(_ticket(length) for length in [*lengths, rest] if length)


def _ticket(length: int) -> bytes:
    return bytes([TICKET_TYPE]) + (length - 4).to_bytes(3) + bytes(length - 4)
