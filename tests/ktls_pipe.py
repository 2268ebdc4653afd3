"""A pipe, for the tests that splice."""

import fcntl
from typing import NamedTuple

__all__ = ["Pipe"]


class Pipe(NamedTuple):
    """A pipe's two descriptors."""

    out: int
    into: int

    def resize(self, size: int) -> None:
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, size)
