"""The TLS proxy, which terminates or originates TLS."""

from ktls_fast._tools.failure import CommandError, reason

from .journal import format_counters
from .options import HostPort, LogFormat, ProxyOptions
from .run import run

__all__ = [
    "CommandError",
    "HostPort",
    "LogFormat",
    "ProxyOptions",
    "format_counters",
    "reason",
    "run",
]
