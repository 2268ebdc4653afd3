"""What an end is told to do, and what it tells afterwards; both travel as JSON."""

from __future__ import annotations

import random
import resource
from dataclasses import dataclass
from time import perf_counter
from typing import Final

HOST: Final = "127.0.0.1"
CHECKED: Final = random.Random(1).randbytes(1 << 20)  # sent and compared before the clock starts
ROOM: Final = 1 << 18
GO: Final = b"!"
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One transfer."""

    way: str
    """Which library carries it."""
    role: str
    """``receive`` listens and serves, ``send`` connects."""
    folder: str
    size: int
    """Bytes that one call sends."""
    count: int
    """How many such calls."""
    port: int = 0

    @property
    def message(self) -> bytes:
        """What each call sends."""
        return random.Random(self.size).randbytes(self.size)


@dataclass(frozen=True, slots=True)
class Cost:
    """What the transfer has cost an end."""

    seconds: float
    cpu: float


class Meter:
    """Wall clock and CPU time of this process, threads included, since it was made."""

    def __init__(self) -> None:
        self._seconds, self._cpu = perf_counter(), _cpu()

    def cost(self) -> Cost:
        """Until now."""
        return Cost(perf_counter() - self._seconds, _cpu() - self._cpu)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
