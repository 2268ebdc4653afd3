"""The plan of an end of a transfer, and its cost. Both are passed as JSON."""

from __future__ import annotations

import random
import resource
from dataclasses import dataclass
from time import perf_counter
from typing import Final

HOST: Final = "127.0.0.1"
CHECKED: Final = random.Random(1).randbytes(1 << 20)  # sent and compared before the clock starts
BUFFER_SIZE: Final = 1 << 18
GO: Final = b"!"
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """The plan of a transfer for one end."""

    way: str
    """The library that transfers the data."""
    role: str
    """``receive`` listens and serves, ``send`` connects."""
    folder: str
    size: int
    """The number of bytes of a call."""
    count: int
    """The number of calls."""
    port: int = 0

    @property
    def message(self) -> bytes:
        """The data of each call."""
        return random.Random(self.size).randbytes(self.size)


@dataclass(frozen=True, slots=True)
class TransferCost:
    """The duration and the CPU time of a transfer at one end."""

    seconds: float
    cpu: float


class CostMeter:
    """A meter of wall clock time and CPU time of this process, including all threads."""

    def __init__(self) -> None:
        self._seconds, self._cpu = perf_counter(), _cpu()

    def cost(self) -> TransferCost:
        """Return the cost since the meter was created."""
        return TransferCost(perf_counter() - self._seconds, _cpu() - self._cpu)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
