"""The pending handshakes, the oldest of which are dropped for newer clients."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["PendingHandshake", "PendingHandshakes"]

GRACE = 1.0
"""Seconds before the handshake of a client that has sent data may be dropped."""

TCP_INFO_BYTES_RECEIVED = slice(128, 136)
"""Position of ``tcpi_bytes_received`` in ``struct tcp_info``."""


@dataclass(eq=False, slots=True)
class PendingHandshake:
    """A pending handshake, with its own descriptor of the client's socket."""

    client: socket.socket
    begin: float = field(default_factory=time.monotonic)
    dropped: bool = False

    def may_be_dropped(self) -> bool:
        """Return True if the client has sent nothing yet, or the grace period is over."""
        return time.monotonic() - self.begin >= GRACE or _has_sent_nothing(self.client)

    def drop(self) -> None:
        """Shut the connection down; the thread of the handshake then sees the end of the stream."""
        self.dropped = True
        with contextlib.suppress(OSError):  # the client has already disconnected
            self.client.shutdown(socket.SHUT_RDWR)


class PendingHandshakes:
    """The pending handshakes of a process, oldest first."""

    def __init__(self) -> None:
        """Create an empty collection."""
        self._lock = threading.Lock()
        self._waiting: dict[PendingHandshake, None] = {}
        self._dropping = 0

    @contextlib.contextmanager
    def pending(self, client: socket.socket) -> Iterator[PendingHandshake]:
        """Make the handshake of ``client`` eligible to be dropped while the block runs."""
        try:
            own = client.dup()
        except OSError:  # no descriptor is left: this handshake cannot be dropped
            yield PendingHandshake(client)
            return
        with own:
            handshake = PendingHandshake(own)
            with self._lock:
                self._waiting[handshake] = None
            try:
                yield handshake
            finally:
                with self._lock:
                    self._waiting.pop(handshake, None)
                    self._dropping -= handshake.dropped

    def may_drop(self) -> bool:
        """Return True if there are handshakes and all dropped ones have ended."""
        return bool(self._waiting) and not self._dropping

    def drop_oldest(self, most: int) -> int:
        """Drop up to ``most`` of the oldest eligible handshakes; return how many were dropped."""
        with self._lock:
            may_go = (each for each in self._waiting if each.may_be_dropped())
            oldest = list(itertools.islice(may_go, most))
            for handshake in oldest:
                del self._waiting[handshake]
                self._dropping += 1
                handshake.drop()
        return len(oldest)


def _has_sent_nothing(client: socket.socket) -> bool:
    """Return True if no byte has been received; False if the system cannot tell."""
    try:
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (AttributeError, OSError):
        return False
    return info[TCP_INFO_BYTES_RECEIVED] == bytes(8)
