"""The simulator of key updates under offload; :mod:`ktls_fast.simulate` is its public face."""

from .report import Event, Report, run
from .scenario import Scenario

__all__ = ["Event", "Report", "Scenario", "run"]
