"""A pipe, for tests of splice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["PipeEnds", "open_pipe"]


class PipeEnds(NamedTuple):
    """The two descriptors of a pipe."""

    out: int
    into: int

    def resize(self, size: int) -> None:
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, size)


@contextmanager
def open_pipe() -> Iterator[PipeEnds]:
    """Yield a pipe, and close it."""
    made = PipeEnds(*os.pipe())
    try:
        yield made
    finally:
        for fd in made:
            os.close(fd)
