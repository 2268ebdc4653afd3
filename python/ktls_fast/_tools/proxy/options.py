"""The options of a proxy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["HostPort", "LogFormat", "ProxyOptions", "Truncation"]

LogFormat = Literal["text", "json"]
Truncation = Literal["reset", "fin"]


class HostPort(NamedTuple):
    """A host and a port, written ``HOST:PORT`` or ``[HOST]:PORT``."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address in the form that ``--listen`` accepts."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """The options of ``ktls-fast proxy``. Times are in seconds."""

    listen: HostPort
    connect: HostPort
    originate: bool = False
    """Accept connections without TLS and forward them over TLS, instead of the reverse."""
    cert: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    """A file whose first line is the password of the key."""
    ca: str = "system"
    """The root certificates: ``"system"``, ``"webpki"`` or the path of a PEM file."""
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    rekey_every: int | None = None
    rekey_seconds: float | None = None
    """Send a KeyUpdate before the next data this many seconds after the first data under a key."""
    rekey_peer: bool = False
    """Request a KeyUpdate of the peer by each KeyUpdate of ``rekey_every``."""
    rekey_interval: float = 0.15
    """The minimum time between two KeyUpdates of ``rekey_every``."""
    key_update_limit: tuple[int, float] = (32, 1.0)
    """The maximum of consecutive KeyUpdates of a peer without data, and when it is renewed."""
    workers: int = 1
    max_connections: int = 1000
    """The maximum number of open connections of each worker."""
    handshake_timeout: float = 10.0
    connect_timeout: float = 10.0
    idle_timeout: float | None = 600.0
    drain: float = 30.0
    truncation: Truncation = "reset"
    """How to end the other side if a TLS peer ends without close_notify."""
    stats: bool = False
    log: Path | None = None
    log_format: LogFormat = "text"
    keylog: Path | None = None
