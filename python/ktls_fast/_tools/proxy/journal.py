"""Everything that a proxy tells: its notices, its counters, a line for each connection."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Literal

from .options import LogFormat
from .report import Report
from .stats import format_counters
from .writer import LineWriter

__all__ = ["Journal", "notice_line"]

Event = Literal["start", "notice"]


class Journal:
    """Notices and counters go to standard error, connections to the log, which may be the same."""

    def __init__(self, log_format: LogFormat, log_fd: int | None, log_name: str) -> None:
        """Start writing; without ``log_fd`` to standard error only."""
        self._format = log_format
        self._name = log_name
        self._notices = LineWriter(sys.stderr.fileno())
        self._log = self._notices if log_fd is None else LineWriter(log_fd, self._report_trouble)

    def notice(self, text: str) -> None:
        """Say something that the user should know."""
        self._notices.write(notice_line(self._format, text))

    def connection(self, report: Report) -> None:
        """Log a connection that has ended."""
        self._log.write(report.as_json() if self._format == "json" else report.as_text())

    def counters(self, activity: Mapping[str, int], tls_stat: Mapping[str, int]) -> None:
        """Print the counters of this process."""
        if self._format == "json":
            event = {"event": "stats", "pid": os.getpid(), **activity, "tls_stat": dict(tls_stat)}
            self._notices.write(json.dumps(event))
            return
        numbers = ", ".join(f"{count} {name}" for name, count in activity.items())
        title = f"connections of process {os.getpid()}: {numbers}"
        self._notices.write(f"{title}\n{format_counters(tls_stat)}".rstrip("\n"))

    def close(self) -> None:
        """Write what is left, and tell how much could not be written."""
        self._log.close()
        if self._log is self._notices:
            return
        if self._log.lost:
            self.notice(f"{self._log.lost} lines of the log {self._name} were lost")
        self._notices.close()

    def _report_trouble(self, why: str) -> None:
        self.notice(
            f"cannot write the log {self._name}: {why};"
            " connections go on, and the lines that are lost are counted"
        )


def notice_line(log_format: LogFormat, text: str, event: Event = "notice", **facts: object) -> str:
    """Format something that the user should know; ``facts`` are for programs that read JSON."""
    if log_format == "json":
        return json.dumps({"event": event, "text": text, **facts})
    return f"ktls-fast proxy: {text}"
