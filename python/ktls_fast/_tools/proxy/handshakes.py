"""The handshakes under way, of which the oldest makes room for a newer client."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Handshake", "Handshakes"]

GRACE = 1.0
"""Seconds that a client which has sent something has for its handshake, whoever else waits."""

TCP_INFO_BYTES_RECEIVED = slice(128, 136)
"""Where ``struct tcp_info`` has ``tcpi_bytes_received``."""


@dataclass(eq=False, slots=True)
class Handshake:
    """One handshake, with a descriptor of its own of the client's socket."""

    client: socket.socket
    begin: float = field(default_factory=time.monotonic)
    dropped: bool = False

    def may_be_dropped(self) -> bool:
        """Tell whether it has had its time: none for a client that has said nothing."""
        return time.monotonic() - self.begin >= GRACE or _is_silent(self.client)

    def drop(self) -> None:
        """End it: whoever waits for the client sees the end of its stream."""
        self.dropped = True
        with contextlib.suppress(OSError):  # the client is gone already
            self.client.shutdown(socket.SHUT_RDWR)


class Handshakes:
    """All handshakes of one process, oldest first."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._waiting: dict[Handshake, None] = {}
        self._dropping = 0

    @contextlib.contextmanager
    def under_way(self, client: socket.socket) -> Iterator[Handshake]:
        """Count ``client`` among those that may be dropped, for as long as the block runs."""
        try:
            own = client.dup()
        except OSError:  # no descriptor is left for it: it has as much time as any
            yield Handshake(client)
            return
        with own:
            handshake = Handshake(own)
            with self._lock:
                self._waiting[handshake] = None
            try:
                yield handshake
            finally:
                with self._lock:
                    self._waiting.pop(handshake, None)
                    self._dropping -= handshake.dropped

    def may_drop(self) -> bool:
        """Tell whether there are some, and those that were dropped have ended."""
        return bool(self._waiting) and not self._dropping

    def drop_oldest(self, most: int) -> int:
        """Drop the oldest ones that may be dropped, up to ``most``; returns how many it found."""
        with self._lock:
            may_go = (each for each in self._waiting if each.may_be_dropped())
            oldest = list(itertools.islice(may_go, most))
            for handshake in oldest:
                del self._waiting[handshake]
                self._dropping += 1
                handshake.drop()
        return len(oldest)


def _is_silent(client: socket.socket) -> bool:
    """Tell whether no byte has come yet. Where the system cannot say so, one has."""
    try:
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (AttributeError, OSError):
        return False
    return info[TCP_INFO_BYTES_RECEIVED] == bytes(8)
