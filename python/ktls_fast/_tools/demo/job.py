"""What a client of the demo is to do, and what it has to say afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["HOST", "ClientKind", "Job", "Outcome", "Progress"]

HOST = "127.0.0.1"

ClientKind = Literal["ssl", "curl", "openssl", "ktls_fast"]

Progress = Callable[[int], None]
"""Called with the number of bytes that have come back since the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Send ``size`` bytes through the proxy and read them back at the same time."""

    kind: ClientKind
    number: int
    port: int
    size: int
    rekey_every: int
    """Bytes sent between two KeyUpdates of the client, where it can send any."""
    ca_file: str

    @property
    def server_name(self) -> str:
        """The name that this client asks for: it finds the connection in the proxy's log."""
        return server_name(self.number)

    @property
    def head(self) -> bytes:
        """The head of the HTTP request; the bytes follow."""
        lines = (
            f"PUT /{self.number} HTTP/1.1",
            f"Host: {self.server_name}",
            f"Content-Length: {self.size}",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The SHA-256 of what was sent and of what came back, and when; or what went wrong."""

    number: int
    sent: str = ""
    received: str = ""
    begin: float = 0.0
    end: float = 0.0
    error: str | None = None


def server_name(number: int) -> str:
    """The name by which client ``number`` knows the proxy."""
    return f"demo-{number}.localhost"
