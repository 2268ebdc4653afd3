"""The simulator of key updates under offload; its public interface is :mod:`ktls_fast.simulate`."""

from .report import Event, Report, run
from .scenario import Scenario

__all__ = ["Event", "Report", "Scenario", "run"]
