"""Files that are gone with the processes that use them, however those end."""

import os
import tempfile
from pathlib import Path
from typing import IO, Self

__all__ = ["NamelessFile"]


class NamelessFile:
    """A file in memory that others open by the number it has in this process.

    Nothing is left of it when the last process that has it open ends, even by SIGKILL. Outside of
    Linux it is an ordinary temporary file, for its owner alone, which its close removes.
    """

    def __init__(self, name: str, content: bytes = b"") -> None:
        """Make it; ``name`` is for whoever looks at the open files of a process."""
        if hasattr(os, "memfd_create"):
            self._file: IO[bytes] = os.fdopen(os.memfd_create(name), "w+b")
            self.path = Path(f"/proc/{os.getpid()}/fd/{self._file.fileno()}")
        else:
            self._file = tempfile.NamedTemporaryFile(prefix=f"ktls-fast-{name}-")  # noqa: SIM115
            self.path = Path(self._file.name)
        self._file.write(content)
        self._file.flush()

    def __enter__(self) -> Self:
        """Nothing: it is there already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it here; who has it open elsewhere keeps it."""
        self._file.close()
