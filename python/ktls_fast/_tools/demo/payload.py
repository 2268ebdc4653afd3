"""Random data to send, and the check of the data that comes back."""

import hashlib
import random
from collections.abc import Iterator

from .job import Progress

__all__ = ["EchoReceiver", "RandomPayload"]

POOL = 4 * 2**20
PIECE = 256 * 2**10
MAX_HEAD = 4096
HEAD_BEGIN = b"HTTP/1.1 200 "
HEAD_END = b"\r\n\r\n"


class RandomPayload:
    """Pseudorandom data, as an iterable of pieces.

    Generating new bytes would be slower than sending them. Therefore each piece starts at a random
    position of a random pool, so that lost, duplicated or reordered bytes change the digest.
    """

    def __init__(self, seed: int, size: int, *, without: bytes = b"") -> None:
        """Prepare ``size`` bytes that contain none of the bytes of ``without``."""
        self._random = random.Random(seed)
        pool = self._random.randbytes(POOL)
        self._pool = memoryview(pool.translate(bytes.maketrans(without, b"-" * len(without))))
        self._left = size
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[memoryview]:
        """Yield the pieces; each is added to the digest when it is taken."""
        while self._left:
            start = self._random.randrange(POOL - PIECE)
            piece = self._pool[start : start + min(PIECE, self._left)]
            self._left -= len(piece)
            self._digest.update(piece)
            yield piece

    @property
    def digest(self) -> str:
        """The SHA-256 of all pieces taken so far."""
        return self._digest.hexdigest()


class EchoReceiver:
    """The receiver of the data that comes back."""

    def __init__(self, size: int, progress: Progress, *, head: bool = True) -> None:
        """Expect ``size`` bytes.

        :param progress: is called with the number of bytes of each piece.
        :param head: whether the head of an HTTP response precedes the data.
        """
        self._left = size
        self._progress = progress
        self._digest = hashlib.sha256()
        self._head = bytearray()
        self._in_head = head

    @property
    def done(self) -> bool:
        """Whether all bytes have been received."""
        return not self._in_head and self._left == 0

    @property
    def digest(self) -> str:
        """The SHA-256 of the data, without the head."""
        return self._digest.hexdigest()

    def feed(self, data: memoryview) -> None:
        """Process data that was received.

        :raises ValueError: the data is empty, as at the end of a stream, or its head is wrong.
        """
        if not len(data):
            msg = f"the connection ended {self._left} bytes early"
            raise ValueError(msg)
        body = self._strip_head(data) if self._in_head else data
        self._digest.update(body)
        self._left -= len(body)
        self._progress(len(body))

    def _strip_head(self, data: memoryview) -> memoryview:
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
