"""The TLS proxy: TLS in and plain out, or plain in and TLS out."""

from ktls_fast._tools.failure import Failure, reason

from .options import Address, LogFormat, Options
from .run import run
from .stats import format_counters

__all__ = ["Address", "Failure", "LogFormat", "Options", "format_counters", "reason", "run"]
