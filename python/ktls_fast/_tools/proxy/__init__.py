"""The TLS proxy, which terminates or originates TLS."""

from ktls_fast._tools.failure import CommandError, reason

from .journal import format_counters
from .options import Address, LogFormat, Options
from .run import run

__all__ = ["Address", "CommandError", "LogFormat", "Options", "format_counters", "reason", "run"]
