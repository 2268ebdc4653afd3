"""Delivery of signals, and of wake-ups by other threads, through one readable descriptor."""

import contextlib
import signal
import socket
import time
from collections import Counter
from types import FrameType

__all__ = ["SignalInbox"]

STOPPING = {signal.SIGTERM, signal.SIGINT}

SAME_ORDER = 0.1
"""Seconds within which two signals count as one: some senders signal both us and our group."""


class SignalInbox:
    """A counter of signals whose descriptor becomes readable with each signal.

    The counts are kept apart from the descriptor, so that no signal is lost if its buffer is full.
    """

    def __init__(self, *signals: signal.Signals, at_once_by: signal.Signals | None = None) -> None:
        """Handle ``signals`` for the rest of the process.

        An ignored SIGHUP stays ignored, as under ``nohup``. SIGHUP never means to stop at once: a
        closing terminal, a shell and a service manager may send one each.

        :param at_once_by: the signal to stop at once; default: a second SIGTERM or SIGINT.
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
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # pending signals are counted now

    @property
    def stop(self) -> bool:
        """Whether a signal to stop has been received."""
        return self._stops > 0

    @property
    def stop_at_once(self) -> bool:
        """Whether a signal to stop at once has been received."""
        return self._at_once

    def take(self, signum: signal.Signals) -> bool:
        """Return True if ``signum`` has been received since the last call."""
        return self._counts.pop(signum, 0) > 0

    def fileno(self) -> int:
        """Return the descriptor, which is readable after a signal or a wake-up."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable. Any thread may call it."""
        with contextlib.suppress(BlockingIOError):  # full, and therefore readable
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Make the descriptor unreadable; call this before checking the signals."""
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
