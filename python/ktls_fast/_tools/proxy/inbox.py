"""Signals, and wake-ups by other threads, as one readable descriptor."""

import contextlib
import signal
import socket
import time
from collections import Counter
from types import FrameType

__all__ = ["Inbox"]

STOPPING = {signal.SIGTERM, signal.SIGINT}

SAME_ORDER = 0.1
"""Seconds within which two signals are one order: some senders mean both us and our group."""


class Inbox:
    """Counts signals, and becomes readable with each.

    The counts are kept beside the descriptor, so that one which is full loses no signal.
    """

    def __init__(self, *signals: signal.Signals, at_once_by: signal.Signals | None = None) -> None:
        """Take over ``signals``, for the rest of the process's life.

        SIGHUP stays ignored where it is, as under ``nohup``. It never means to end at once: a
        terminal that goes, a shell and a service manager may send one each.

        :param at_once_by: the signal that means that nothing is waited for; default: a second order
            to stop.
        """
        self._counts: Counter[int] = Counter()
        self._stops = 0
        self._last_stop = float("-inf")
        self._at_once_by = at_once_by
        self._at_once = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for signum in signals:
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
                signal.signal(signum, self._count)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # what came early is counted now

    @property
    def stop(self) -> bool:
        """We have been told to stop."""
        return self._stops > 0

    @property
    def stop_at_once(self) -> bool:
        """We have been told not to wait."""
        return self._at_once

    def take(self, signum: signal.Signals) -> bool:
        """Tell whether ``signum`` has come since the last call."""
        return self._counts.pop(signum, 0) > 0

    def fileno(self) -> int:
        """Readable when something has come."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable; any thread may."""
        with contextlib.suppress(BlockingIOError):  # full, so readable already
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Make the descriptor unreadable; call it before looking at what it may tell of."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(65536)

    def _count(self, signum: int, _frame: FrameType | None) -> None:
        if signum == self._at_once_by:
            self._at_once = True
        elif signum == signal.SIGHUP:
            self._stops = max(self._stops, 1)
        elif signum not in STOPPING:
            self._counts[signum] += 1
        elif time.monotonic() - self._last_stop > SAME_ORDER:
            self._last_stop = time.monotonic()
            self._stops += 1
            self._at_once = self._at_once or (self._at_once_by is None and self._stops > 1)
