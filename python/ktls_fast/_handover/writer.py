"""Writing application data to a wire that may refuse it."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .ssl_errors import ssl_error
from .wires import Deadline, Wire

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PIECE = 7 << 14
"""The most that is sealed before the wire has taken it.

Its records are shorter than 128 KiB. For longer ones malloc would map fresh pages at each call.
"""


class WireWriter:
    """Reports what the wire has taken, and nothing else.

    Records cannot be unsealed. If the wire refuses them, they are kept and the call raises; the
    caller repeats it with the same data, and gets the count when they are sent. OpenSSL does the
    same.
    """

    def __init__(self, wire: Wire) -> None:
        """Write to ``wire``."""
        self._wire = wire
        self._refused = 0
        self.lock = threading.Lock()

    @property
    def is_refused(self) -> bool:
        """Whether a call was refused and not repeated yet."""
        return self._refused > 0

    def write(self, data: "Buffer", seal: Callable[[memoryview], bytes]) -> int:
        """Write ``data``, and return the number of bytes that were sent.

        That is all of it, unless the call may not wait.

        :param seal: returns the records of some data. It is no attribute, because a method of the
            writer's owner would be a reference back to it: the owner could then be freed by the
            garbage collector only.
        """
        with memoryview(data) as view, view.cast("B") as plain, self.lock:
            until = self._wire.deadline()
            if self._refused:
                return self._repeat(len(plain), until)
            self._wire.flush(until)
            return self._write(plain, until, seal)

    def _repeat(self, length: int, until: Deadline) -> int:
        if length < self._refused:
            reason = "BAD_WRITE_RETRY"
            raise ssl_error(reason)
        self._wire.flush(until)
        written, self._refused = self._refused, 0
        return written

    def _write(
        self, plain: memoryview, until: Deadline, seal: Callable[[memoryview], bytes]
    ) -> int:
        written = 0
        while True:
            with plain[written : written + _PIECE] as piece:
                sealed = seal(piece)
                written += len(piece)
            self._refused = written
            self._wire.send(sealed, until)
            self._refused = 0
            if until == 0.0 or written == len(plain):
                return written
