"""Counters as text."""

from collections.abc import Mapping

__all__ = ["format_counters"]

NAME_WIDTH = 32


def format_counters(counters: Mapping[str, int]) -> str:
    """Lay counters out as ``/proc/net/tls_stat`` does, one line each."""
    return "".join(f"{name:<{NAME_WIDTH}}\t{value}\n" for name, value in counters.items())
