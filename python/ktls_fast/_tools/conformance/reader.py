"""A thread that waits for data while the scenario continues."""

import threading

from .blocked import wait_until_blocked
from .sides import TlsEnd
from .steps import errno_name

__all__ = ["BlockedReader"]

TIMEOUT = 5.0


class BlockedReader:
    """A thread that is blocked in ``recv``."""

    def __init__(self, end: TlsEnd, size: int, flags: int) -> None:
        """Start the thread, and return when it waits."""
        self._end, self._size, self._flags = end, size, flags
        self._got: bytes | None = None
        self._error = "TIMEOUT"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._thread.native_id
        wait_until_blocked(self._thread.native_id)

    def result(self) -> str | int:
        """Return the data received as text, or its size if it is ciphertext, or the error."""
        self._thread.join(TIMEOUT)
        if self._got is None:
            return self._error
        return len(self._got) if len(self._got) == 20 else self._got.decode(errors="replace")

    def _run(self) -> None:
        try:
            self._got = self._end.recv(self._size, self._flags)
        except OSError as error:
            self._error = errno_name(error)
