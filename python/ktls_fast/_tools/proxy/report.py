"""What is told about one connection when it has ended."""

import json
import re
import time
from dataclasses import asdict, dataclass, field

from ktls_fast import Connection

__all__ = ["CUT", "TRUNCATED", "Report"]

TRUNCATED = "ended without close_notify"
"""Many programs end their connections so: all data is passed on, and it is no failure."""

CUT = "cut: the proxy had to end at once"

HARMLESS = re.compile(r"[\w.,:;/+*()\[\]-]+", re.ASCII)
MAX_TEXT = 1000
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(slots=True)
class Report:
    """One connection. Directions are those of its TLS side: received from the peer, sent to it."""

    client: str
    """The address that connected to us."""
    started: str = field(default_factory=lambda: time.strftime(TIME_FORMAT, time.gmtime()))
    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    server_name: str | None = None
    received: int = 0
    """Bytes of application data."""
    sent: int = 0
    records_received: int = 0
    records_sent: int = 0
    key_updates_received: int = 0
    key_updates_sent: int = 0
    seconds: float = 0.0
    result: str = "internal error"
    """What went wrong, or ``ok``, ``stopped`` (the proxy was told to), :data:`TRUNCATED`."""

    def describe(self, connection: Connection) -> None:
        """Take over what ``connection`` knows about itself."""
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
        """One line of ``name=value`` pairs; ``-`` stands for what is not known."""
        return " ".join(f"{name}={_plain(value)}" for name, value in self._values().items())

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"event": "connection", **self._values()})

    def _values(self) -> dict[str, str | float | None]:
        return {name: _bounded(value) for name, value in asdict(self).items()}


def _bounded(value: str | float | None) -> str | float | None:
    """Cut what is too long for a line of a log: some of it is chosen by the peer."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}..."
    return value


def _plain(value: str | float | None) -> str:
    """Quote what would break the line up: some of it comes from the peer."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if HARMLESS.fullmatch(text) and text != "-" else json.dumps(text)
