"""A pipe, for tests of splice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Pipe", "open_pipe"]


class Pipe(NamedTuple):
    """The two descriptors of a pipe."""

    out: int
    into: int

    def resize(self, size: int) -> None:
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, size)


@contextmanager
def open_pipe() -> Iterator[Pipe]:
    """Yield a pipe, and close it."""
    made = Pipe(*os.pipe())
    try:
        yield made
    finally:
        for fd in made:
            os.close(fd)
