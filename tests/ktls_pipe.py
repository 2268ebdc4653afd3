"""A pipe, for the tests that splice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Pipe", "open_pipe"]


class Pipe(NamedTuple):
    """A pipe's two descriptors."""

    out: int
    into: int

    def resize(self, size: int) -> None:
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, size)


@contextmanager
def open_pipe() -> Iterator[Pipe]:
    """A pipe, closed at the end."""
    made = Pipe(*os.pipe())
    try:
        yield made
    finally:
        for fd in made:
            os.close(fd)
