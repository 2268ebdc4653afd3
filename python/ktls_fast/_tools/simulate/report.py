"""What a run tells."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ktls_fast._core import _simulate

from .scenario import Scenario

__all__ = ["Event", "Report", "run"]


class Event(NamedTuple):
    """One thing that happened."""

    time: int
    """In microseconds."""
    host: int
    """Where: 0 or 1."""
    kind: str
    """``segment``, ``lost``, ``acked``, ``tx_phase``, ``rx_phase``, ``tx_key``, ``rx_key``, …"""
    offset: int | None
    """Where in the stream."""
    len: int | None
    """Bytes."""
    generation: int | None
    """Of the key."""
    word: str | None
    """Who sealed a segment, ``device``, ``software`` or ``fallback``; or the phase."""
    retransmission: bool
    """The segment was sent before."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Report:
    """The outcome of a run."""

    violation: str | None
    """The first broken invariant; the run ends there. None: all held."""
    summary: dict[str, Any]
    """Numbers: ``time``, ``segments``, …, ``counters``, and ``hosts``, one of each host.

    ``cut_off_after`` is None, or the steps after which a run that took too long was given up.
    """
    events: list[Event]
    """Everything, in order."""
    trace: list[str]
    """A line for everything that the devices were asked."""
    pcap: bytes
    """The wire, as a capture file; ``keylog`` decrypts it."""
    keylog: str
    """Its ``SSLKEYLOGFILE``."""


def run(scenario: Scenario) -> Report:
    """Run a scenario to its end, or to the first broken invariant.

    A run that takes more than a million steps or 256 MiB is given up. It does not hold the GIL.
    """
    violation, summary, events, trace, pcap, keylog = _simulate(scenario)
    return Report(violation, summary, [Event(*event) for event in events], trace, pcap, keylog)
