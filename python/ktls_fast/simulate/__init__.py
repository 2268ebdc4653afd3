"""A simulator of key updates under offload: the events, their order and their cost.

``run(Scenario(rekeys=20, loss=0.02, seed=7))`` simulates a connection between two hosts. Each host
has a network device that seals and opens records, and the link loses and reorders packets. Time is
virtual, so the same scenario always returns the same report. ``docs/offload.md`` explains the
design.
"""

from ktls_fast._tools.simulate import Event, Report, Scenario, run

__all__ = ["Event", "Report", "Scenario", "run"]
