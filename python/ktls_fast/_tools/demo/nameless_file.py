"""Files that disappear with the processes that use them, even if those are killed."""

import os
import tempfile
from pathlib import Path
from typing import IO, Self

__all__ = ["NamelessFile"]


class NamelessFile:
    """A file in memory that other processes open through ``/proc``.

    It disappears when the last process that has it open ends, even by SIGKILL. Outside of Linux it
    is a temporary file that only its owner can read, and that is removed when it is closed.
    """

    def __init__(self, name: str, content: bytes = b"") -> None:
        """Create the file; ``name`` appears in lists of a process's open files."""
        if hasattr(os, "memfd_create"):
            self._file: IO[bytes] = os.fdopen(os.memfd_create(name), "w+b")
            self.path = Path(f"/proc/{os.getpid()}/fd/{self._file.fileno()}")
        else:
            self._file = tempfile.NamedTemporaryFile(prefix=f"ktls-fast-{name}-")  # noqa: SIM115
            self.path = Path(self._file.name)
        self._file.write(content)
        self._file.flush()

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; other processes that have it open keep it."""
        self._file.close()
