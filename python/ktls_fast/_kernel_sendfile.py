"""Files for ``KernelSocket.sendfile``: those with a known size, and those that are only read."""

import os
import stat
from typing import Any

__all__ = ["ReadOnlyFile", "has_known_size"]


class ReadOnlyFile:
    """A file object that has only ``read``, so that ``socket.sendfile`` reads it and sends.

    ``socket.sendfile`` takes a file whose ``fstat`` reports the size 0 for an empty one. This class
    has no ``fileno``, which makes ``socket.sendfile`` fall back to reading.
    """

    mode = "rb"

    def __init__(self, file: Any, offset: int, count: int | None) -> None:  # noqa: ANN401
        """Prepare to read up to ``count`` bytes of ``file``, starting at ``offset``.

        :raises ValueError: the file is open in text mode, or ``count`` is not positive.
        """
        if "b" not in getattr(file, "mode", "b"):
            msg = "the file is not open in binary mode"
            raise ValueError(msg)
        if count is not None and count <= 0:
            msg = f"count is {count}; it must be above 0, or None"
            raise ValueError(msg)
        if offset:
            file.seek(offset)
        self._file, self._left = file, count

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; ``b""`` at the end of the file or after ``count`` bytes."""
        data: bytes = self._file.read(size if self._left is None else min(size, self._left))
        if self._left is not None:
            self._left -= len(data)
        return data


def has_known_size(file: Any) -> bool:  # noqa: ANN401 - any object, with or without a fileno
    """Return True if ``file`` is a regular file whose size is known and not 0.

    Files of ``/proc`` report the size 0 whatever they contain.
    """
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0
