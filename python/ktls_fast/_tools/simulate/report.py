"""The report of a simulation, and the function that runs one."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ktls_fast._core import _simulate

from .scenario import Scenario

__all__ = ["Event", "Report", "run"]


class Event(NamedTuple):
    """An event of a simulation."""

    time: int
    """The virtual time in microseconds."""
    host: int
    """The number of the host, 0 or 1."""
    kind: str
    """``segment``, ``lost``, ``acked``, ``tx_phase``, ``rx_phase``, ``tx_key``, ``rx_key``, …"""
    offset: int | None
    """The position in the stream, in bytes."""
    len: int | None
    """The number of bytes."""
    generation: int | None
    """The generation of the key."""
    word: str | None
    """What sealed the segment (``device``, ``software`` or ``fallback``), or the new phase."""
    retransmission: bool
    """Whether the segment was sent before."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Report:
    """The result of a simulation."""

    violation: str | None
    """The first violated invariant, at which the run ended, or None."""
    summary: dict[str, Any]
    """Totals: ``time``, ``segments``, …, ``counters``, and ``hosts``, a list with those of each.

    ``cut_off_after`` is None, or the number of steps after which the run was aborted.
    """
    events: list[Event]
    """All events, in order."""
    trace: list[str]
    """A line for each call of a device."""
    pcap: bytes
    """The packets on the link, as a capture file."""
    keylog: str
    """The keys to decrypt ``pcap``, in the format of ``SSLKEYLOGFILE``."""


def run(scenario: Scenario) -> Report:
    """Simulate ``scenario`` up to its end or the first violated invariant, and return the report.

    The run is aborted after a million steps or 256 MiB. It releases the GIL.
    """
    violation, summary, events, trace, pcap, keylog = _simulate(scenario)
    return Report(violation, summary, [Event(*event) for event in events], trace, pcap, keylog)
