"""A time limit for calls that may wait forever."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["TimeLimitError", "time_limit"]

SOON = 0.001


class TimeLimitError(Exception):
    """The time is over.

    It is not an ``OSError``, which would be taken for the result of a call.
    """


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError in the block after ``seconds``.

    Only the main thread may call it, as it uses SIGALRM. A timer set before continues afterwards.
    """

    def over(*_: object) -> None:
        raise TimeLimitError

    handler = signal.signal(signal.SIGALRM, over)
    begin = time.monotonic()
    rest, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if rest:
            signal.setitimer(signal.ITIMER_REAL, max(rest - time.monotonic() + begin, SOON))
