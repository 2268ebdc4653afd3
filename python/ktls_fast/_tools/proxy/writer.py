"""Lines to a descriptor, from a thread of its own."""

import contextlib
import os
import queue
import threading
from collections.abc import Callable

from ktls_fast._tools.failure import reason

__all__ = ["LineWriter"]

CAPACITY = 10_000
"""Lines that may wait; what comes on top is lost, and counted."""

FLUSH_TIMEOUT = 2.0


class LineWriter:
    """Writes lines to a descriptor; a full disk or a stalled reader harms nobody but the lines."""

    def __init__(self, fd: int, on_trouble: Callable[[str], None] | None = None) -> None:
        """Start the thread; ``on_trouble`` is called once, with the reason of the first loss."""
        self.lost = 0
        self._fd = fd
        self._on_trouble = on_trouble
        self._lines: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._run, name="line-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue ``line`` and its line feed; never waits, never raises."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lose("its reader does not keep up")

    def close(self) -> None:
        """Wait a moment for what is queued. The descriptor stays open."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=FLUSH_TIMEOUT)
        self._thread.join(FLUSH_TIMEOUT)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write_all(f"{line}\n".encode(errors="backslashreplace"))
            except OSError as error:
                self._lose(reason(error))

    def _write_all(self, data: bytes) -> None:
        """Write in one piece where possible: other processes may append to the same file."""
        while data:
            data = data[os.write(self._fd, data) :]

    def _lose(self, why: str) -> None:
        self.lost += 1
        if self._on_trouble is not None:
            on_trouble, self._on_trouble = self._on_trouble, None
            on_trouble(why)
