"""Key updates under offload, in a simulator: what happens, in which order, and what it costs.

``run(Scenario(rekeys=20, loss=0.02, seed=7))`` plays a connection between two hosts, each with a
network device that seals and opens records, over a link that loses and reorders packets. Time is
virtual: the same scenario always gives the same report. ``docs/offload.md`` explains the design.
"""

from ktls_fast._tools.simulate import Event, Report, Scenario, run

__all__ = ["Event", "Report", "Scenario", "run"]
