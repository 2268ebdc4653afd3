"""Actions that are performed as soon as a thread waits in a blocking call."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["blocked", "once_blocked", "wait_until", "wait_until_blocked"]

TIMEOUT = 2.0
WAITS = ("poll", "wait_woken")
"""Parts of the kernel's function names in which a poll and a receive sleep."""


@contextmanager
def once_blocked(act: Callable[[], object], thread_id: int | None = None) -> Iterator[None]:
    """Call ``act`` in another thread when thread ``thread_id`` blocks; default: this thread."""
    waiter = threading.get_native_id() if thread_id is None else thread_id

    def run() -> None:
        wait_until_blocked(waiter)
        act()

    helper = threading.Thread(target=run)
    helper.start()
    try:
        yield
    finally:
        helper.join()


@contextmanager
def blocked(call: Callable[[], object]) -> Iterator[list[object]]:
    """Run ``call`` in a thread, and the block while that thread waits.

    Yield a list, which contains the result or the ``OSError`` of ``call`` after the block.
    """
    results: list[object] = []
    started = threading.Event()
    number = []

    def run() -> None:
        number.append(threading.get_native_id())
        started.set()
        try:
            results.append(call())
        except OSError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    wait_until_blocked(number[0])
    yield results
    thread.join(10)
    assert not thread.is_alive()


def wait_until_blocked(thread_id: int) -> None:
    """Return when a thread of this process waits in a call or has ended, or after 2 seconds."""
    place = Path(f"/proc/self/task/{thread_id}/wchan")

    def waits_or_ended() -> bool:
        try:
            function = place.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return any(wait in function for wait in WAITS)

    wait_until(waits_or_ended)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` returns True, or after 2 seconds."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and not condition():
        pass
