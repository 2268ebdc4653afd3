"""What sendfile of a kernel socket sends: files with a size, and all that can only be read."""

import os
import stat
from typing import Any

__all__ = ["Reader", "tells_a_size"]


class Reader:
    """A file without offsets: it can be read and nothing else."""

    mode = "rb"

    def __init__(self, file: Any, offset: int, count: int | None) -> None:  # noqa: ANN401
        """Read up to ``count`` bytes from ``offset`` on.

        :raises ValueError: the file is open in text mode, or ``count`` is not above 0.
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
        """Up to so many bytes."""
        data: bytes = self._file.read(size if self._left is None else min(size, self._left))
        if self._left is not None:
            self._left -= len(data)
        return data


def tells_a_size(file: Any) -> bool:  # noqa: ANN401 - all that has or lacks a fileno
    """Whether it is a regular file, and not one of those that tell 0 whatever they hold."""
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0
