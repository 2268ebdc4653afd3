"""Command-line programs as peers, whose output is collected and waited for with a deadline."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
import time
import tty
from typing import TYPE_CHECKING, Self

from tests.peers.support import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class OutputStream:
    """The data of a file descriptor, which a thread reads up to its end."""

    def __init__(self, fd: int, keep: Callable[[bytes], bytes] = bytes) -> None:
        """Take over ``fd``; ``keep`` may remove messages between the relevant bytes."""
        self._fd = fd
        self._keep = keep
        self._buffer = bytearray()
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def until(self, needle: bytes) -> bytes:
        """Wait for ``needle``, and take everything up to and including it."""
        self._wait(lambda: needle in self._buffer, f"{needle!r}")
        return self._take(self._buffer.index(needle) + len(needle))

    def exactly(self, size: int) -> bytes:
        """Wait for ``size`` bytes that ``keep`` does not remove, and take them."""
        self._wait(lambda: len(self._keep(bytes(self._buffer))) >= size, f"{size} bytes")
        return self._keep(self._take(len(self._buffer)))

    def rest(self) -> bytes:
        """Wait for the end, and take everything up to it."""
        self._wait(lambda: self._ended, "the end")
        return self._take(len(self._buffer))

    def join(self) -> None:
        """Wait until the descriptor has been read to its end and closed."""
        self._thread.join(DEADLINE)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if self._ended or left <= 0 or not self._changed.wait(left):
                    message = f"no {what} in {bytes(self._buffer)!r}, ended: {self._ended}"
                    raise TimeoutError(message)

    def _take(self, size: int) -> bytes:
        with self._changed:
            taken = bytes(self._buffer[:size])
            del self._buffer[:size]
            return taken

    def _run(self) -> None:
        while data := self._read():
            with self._changed:
                self._buffer += data
                self._changed.notify_all()
        os.close(self._fd)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except OSError:  # EIO at the end of a terminal
            return b""


class ProgramProcess:
    """A process with its three streams.

    With ``terminal`` its output is a terminal: ``openssl s_server`` prints through a C stream,
    which is buffered otherwise. Its input is always a pipe.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        terminal: bool = False,
        keep: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Start the process."""
        ours, theirs = _raw_terminal() if terminal else os.pipe()
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE, bufsize=0
        )
        os.close(theirs)
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._stdin = self._process.stdin
        self.output = OutputStream(ours, keep)
        self.errors = OutputStream(os.dup(self._process.stderr.fileno()))
        self._process.stderr.close()

    def write(self, data: bytes) -> None:
        """Write ``data`` to the input of the process."""
        view = memoryview(data)
        while view:
            view = view[self._stdin.write(view) :]

    def finish(self) -> int:
        """Close the input of the process, and return its exit status."""
        self._stdin.close()
        return self._process.wait(DEADLINE)

    def __enter__(self) -> Self:
        """Return the process, which is killed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.wait(DEADLINE)
        self._stdin.close()
        self.output.join()
        self.errors.join()


def _raw_terminal() -> tuple[int, int]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, theirs
