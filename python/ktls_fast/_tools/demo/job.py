"""The task of a client of the demo, and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["HOST", "ClientKind", "Progress", "TransferJob", "TransferOutcome"]

HOST = "127.0.0.1"

ClientKind = Literal["ssl", "curl", "openssl", "ktls_fast"]

Progress = Callable[[int], None]
"""A function to call with the number of bytes received since its last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferJob:
    """The task to send ``size`` bytes through the proxy and to read them back meanwhile."""

    kind: ClientKind
    number: int
    port: int
    size: int
    rekey_every: int
    """The number of bytes between two KeyUpdates of the client, if it can send them."""
    ca_file: str

    @property
    def server_name(self) -> str:
        """The server name that this client sends; it identifies the connection in the log."""
        return server_name(self.number)

    @property
    def head(self) -> bytes:
        """The head of the HTTP request, which precedes the data."""
        lines = (
            f"PUT /{self.number} HTTP/1.1",
            f"Host: {self.server_name}",
            f"Content-Length: {self.size}",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOutcome:
    """The result of a client."""

    number: int
    sent: str = ""
    """The SHA-256 of the data sent."""
    received: str = ""
    """The SHA-256 of the data received."""
    begin: float = 0.0
    end: float = 0.0
    error: str | None = None
    """The reason of a failure; the other values are then missing."""


def server_name(number: int) -> str:
    """Return the server name that client ``number`` sends."""
    return f"demo-{number}.localhost"
