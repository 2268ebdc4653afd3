"""What a proxy is told to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["Address", "LogFormat", "Options", "Truncation"]

LogFormat = Literal["text", "json"]
Truncation = Literal["reset", "fin"]


class Address(NamedTuple):
    """A host and a port, written ``HOST:PORT`` or ``[HOST]:PORT``."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as it is parsed."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of ``ktls-fast proxy``; times in seconds."""

    listen: Address
    connect: Address
    originate: bool = False
    """Plain in, TLS out; otherwise TLS in, plain out."""
    cert: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    """Its first line opens the key."""
    ca: str = "system"
    """``"system"``, ``"webpki"`` or the path of a PEM file."""
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    rekey_every: int | None = None
    rekey_peer: bool = False
    """Let those KeyUpdates ask the peer for one in return."""
    rekey_interval: float = 0.15
    """Least time between KeyUpdates that only ``rekey_every`` asks for."""
    key_update_limit: tuple[int, float] = (32, 1.0)
    """KeyUpdates of a peer in a row without data between them, and after what time as many more."""
    workers: int = 1
    max_connections: int = 1000
    """Connections open at a time, in each worker."""
    handshake_timeout: float = 10.0
    connect_timeout: float = 10.0
    idle_timeout: float | None = 600.0
    drain: float = 30.0
    truncation: Truncation = "reset"
    """What follows behind all data of a TLS peer that ends without close_notify."""
    stats: bool = False
    log: Path | None = None
    log_format: LogFormat = "text"
    keylog: Path | None = None
