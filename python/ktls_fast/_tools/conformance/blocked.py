"""Doing something as soon as a thread waits in a blocking call."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["blocked", "once_blocked", "wait_until", "wait_until_blocked"]

PATIENCE = 2.0
WAITS = ("poll", "wait_woken")
"""Where the system sleeps in a poll, and in a receive of its own."""


@contextmanager
def once_blocked(act: Callable[[], object], thread_id: int | None = None) -> Iterator[None]:
    """Call ``act`` from another thread once thread ``thread_id`` (or this one) waits."""
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
    """A thread that waits in ``call``; the list holds its result or error afterwards."""
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
    """Return when the thread of this process waits or ended, at the latest after 2 s."""
    place = Path(f"/proc/self/task/{thread_id}/wchan")

    def waits_or_ended() -> bool:
        try:
            function = place.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return any(wait in function for wait in WAITS)

    wait_until(waits_or_ended)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when this is so, at the latest after two seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not condition():
        pass
