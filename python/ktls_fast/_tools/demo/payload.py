"""Bytes to send, and a look at those that come back."""

import hashlib
import random
from collections.abc import Iterator

from .job import Progress

__all__ = ["Echo", "Payload"]

POOL = 4 * 2**20
PIECE = 256 * 2**10
MAX_HEAD = 4096
HEAD_BEGIN = b"HTTP/1.1 200 "
HEAD_END = b"\r\n\r\n"


class Payload:
    """Pseudorandom bytes, never twice the same piece in a row.

    Making fresh ones would cost more than sending them, so that each piece is cut from a random
    place of a random pool: bytes that are lost, doubled or swapped change the digest.
    """

    def __init__(self, seed: int, size: int, *, without: bytes = b"") -> None:
        """Prepare ``size`` bytes, none of them one of ``without``."""
        self._random = random.Random(seed)
        pool = self._random.randbytes(POOL)
        self._pool = memoryview(pool.translate(bytes.maketrans(without, b"-" * len(without))))
        self._left = size
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[memoryview]:
        """Cut the pieces; each counts as sent once it is taken."""
        while self._left:
            start = self._random.randrange(POOL - PIECE)
            piece = self._pool[start : start + min(PIECE, self._left)]
            self._left -= len(piece)
            self._digest.update(piece)
            yield piece

    @property
    def digest(self) -> str:
        """The SHA-256 of everything taken."""
        return self._digest.hexdigest()


class Echo:
    """Takes what comes back, and knows when that was all."""

    def __init__(self, size: int, progress: Progress, *, head: bool = True) -> None:
        """Expect ``size`` bytes, after the head of an HTTP response unless somebody has cut it."""
        self._left = size
        self._progress = progress
        self._digest = hashlib.sha256()
        self._head = bytearray()
        self._in_head = head

    @property
    def done(self) -> bool:
        """All of it has come."""
        return not self._in_head and self._left == 0

    @property
    def digest(self) -> str:
        """The SHA-256 of the body."""
        return self._digest.hexdigest()

    def feed(self, data: memoryview) -> None:
        """Take what was read.

        :raises ValueError: it is the end, or not the expected answer.
        """
        if not len(data):
            msg = f"the connection ended {self._left} bytes early"
            raise ValueError(msg)
        body = self._cut_head(data) if self._in_head else data
        self._digest.update(body)
        self._left -= len(body)
        self._progress(len(body))

    def _cut_head(self, data: memoryview) -> memoryview:
        before = len(self._head)
        self._head += data
        end = self._head.find(HEAD_END)
        if not self._head.startswith(HEAD_BEGIN[: len(self._head)]) or end > MAX_HEAD:
            msg = f"the upstream answered {bytes(self._head[:60])!r}"
            raise ValueError(msg)
        if end < 0:
            return data[:0]
        self._in_head = False
        return data[end + len(HEAD_END) - before :]
