"""The output of a proxy: notices, counters, and a line for each connection."""

import contextlib
import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from ktls_fast import Connection
from ktls_fast._tools.failure import reason

from .options import LogFormat

__all__ = [
    "CUT",
    "TRUNCATED",
    "ConnectionReport",
    "LineWriter",
    "ProxyJournal",
    "format_counters",
    "notice_line",
]

NoticeEvent = Literal["start", "notice"]

TRUNCATED = "ended without close_notify"
"""Result of a connection without close_notify. It is not a failure, as many programs end so."""

CUT = "cut: the proxy had to end at once"

UNQUOTED = re.compile(r"[\w.,:;/+*()\[\]-]+", re.ASCII)
MAX_TEXT = 1000
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

CAPACITY = 10_000
"""Maximum number of queued lines; further lines are lost and counted."""

FLUSH_TIMEOUT = 2.0

NAME_WIDTH = 32


class ProxyJournal:
    """The writer of notices and counters (to standard error) and of connections (to the log)."""

    def __init__(self, log_format: LogFormat, log_fd: int | None, log_name: str) -> None:
        """Start writing; without ``log_fd``, the log goes to standard error, too."""
        self._format = log_format
        self._name = log_name
        self._notices = LineWriter(sys.stderr.fileno())
        self._log = self._notices if log_fd is None else LineWriter(log_fd, self._report_trouble)

    def notice(self, text: str) -> None:
        """Write a notice for the user."""
        self._notices.write(notice_line(self._format, text))

    def connection(self, report: "ConnectionReport") -> None:
        """Write the report of a connection that has ended to the log."""
        self._log.write(report.as_json() if self._format == "json" else report.as_text())

    def counters(self, activity: Mapping[str, int], tls_stat: Mapping[str, int]) -> None:
        """Write the counters of this process."""
        if self._format == "json":
            event = {"event": "stats", "pid": os.getpid(), **activity, "tls_stat": dict(tls_stat)}
            self._notices.write(json.dumps(event))
            return
        numbers = ", ".join(f"{count} {name}" for name, count in activity.items())
        title = f"connections of process {os.getpid()}: {numbers}"
        self._notices.write(f"{title}\n{format_counters(tls_stat)}".rstrip("\n"))

    def close(self) -> None:
        """Write the queued lines, and a notice of the number of lost ones."""
        self._log.close()
        if self._log is self._notices:
            return
        if self._log.lost:
            self.notice(f"{self._log.lost} lines of the log {self._name} were lost")
        self._notices.close()

    def _report_trouble(self, why: str) -> None:
        self.notice(
            f"cannot write the log {self._name}: {why};"
            " connections continue, and lost lines are counted"
        )


def notice_line(
    log_format: LogFormat, text: str, event: NoticeEvent = "notice", **facts: object
) -> str:
    """Return a notice as a line; ``facts`` are added in the format JSON."""
    if log_format == "json":
        return json.dumps({"event": event, "text": text, **facts})
    return f"ktls-fast proxy: {text}"


def format_counters(counters: Mapping[str, int]) -> str:
    """Return the counters in the format of ``/proc/net/tls_stat``, one per line."""
    return "".join(f"{name:<{NAME_WIDTH}}\t{value}\n" for name, value in counters.items())


@dataclass(slots=True)
class ConnectionReport:
    """The report of a connection. "Sent" and "received" refer to its TLS side."""

    client: str
    """The address of the client."""
    started: str = field(default_factory=lambda: time.strftime(TIME_FORMAT, time.gmtime()))
    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    server_name: str | None = None
    received: int = 0
    """The number of bytes of application data."""
    sent: int = 0
    records_received: int = 0
    records_sent: int = 0
    key_updates_received: int = 0
    key_updates_sent: int = 0
    seconds: float = 0.0
    result: str = "internal error"
    """``ok``, ``stopped`` (the proxy was stopped), :data:`TRUNCATED`, or the error."""

    def describe(self, connection: Connection) -> None:
        """Copy the parameters and counters of ``connection``."""
        self.version = connection.version
        self.cipher = connection.cipher
        self.alpn = connection.alpn
        self.server_name = connection.server_name
        self.received = connection.bytes_received
        self.sent = connection.bytes_sent
        self.records_received = connection.records_received
        self.records_sent = connection.records_sent
        self.key_updates_received = connection.rx_generation
        self.key_updates_sent = connection.tx_generation

    def as_text(self) -> str:
        """Return a line of ``name=value`` pairs; ``-`` stands for an unknown value."""
        return " ".join(f"{name}={_format_value(value)}" for name, value in self._values().items())

    def as_json(self) -> str:
        """Return a line of JSON."""
        return json.dumps({"event": "connection", **self._values()})

    def _values(self) -> dict[str, str | float | None]:
        return {name: _shortened(value) for name, value in asdict(self).items()}


def _shortened(value: str | float | None) -> str | float | None:
    """Shorten text that is too long for a line of the log; the peer chooses some of it."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}..."
    return value


def _format_value(value: str | float | None) -> str:
    """Return ``value`` as text, quoted if it could break the line; the peer chooses some of it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if UNQUOTED.fullmatch(text) and text != "-" else json.dumps(text)


class LineWriter:
    """A thread that writes lines to a descriptor.

    On a full disk, or if the reader stalls, lines are lost, but no caller is delayed.
    """

    def __init__(self, fd: int, on_trouble: Callable[[str], None] | None = None) -> None:
        """Start the thread; ``on_trouble`` is called with the reason of the first lost line."""
        self.lost = 0
        self._fd = fd
        self._on_trouble = on_trouble
        self._lines: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._run, name="line-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue ``line`` and a line feed, without waiting or raising an exception."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lose("its reader does not keep up")

    def close(self) -> None:
        """Wait up to a few seconds for the queued lines. The descriptor stays open."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=FLUSH_TIMEOUT)
        self._thread.join(FLUSH_TIMEOUT)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write_all(f"{line}\n".encode(errors="backslashreplace"))
            except OSError as error:
                self._lose(reason(error))

    def _write_all(self, data: bytes) -> None:
        """Write ``data``, in one call if possible: other processes may append to the same file."""
        while data:
            data = data[os.write(self._fd, data) :]

    def _lose(self, why: str) -> None:
        self.lost += 1
        if self._on_trouble is not None:
            on_trouble, self._on_trouble = self._on_trouble, None
            on_trouble(why)
