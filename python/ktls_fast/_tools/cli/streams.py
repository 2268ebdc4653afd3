"""Handling of standard streams that are closed or full, or whose reader is gone."""

import contextlib
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["check_output", "finish_output", "prepare_streams", "print_error"]

STDOUT, STDERR = 1, 2


class StandardOutput(io.FileIO):
    """Standard output whose errors name it."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write ``data`` and return the number of bytes written."""
        try:
            return super().write(data)
        except OSError as error:
            raise _output_error(error) from error


def prepare_streams() -> None:
    """Open ``/dev/null`` in place of each closed standard stream.

    Otherwise a socket could get its descriptor. For standard input and output, ``/dev/null`` is
    opened in the wrong direction, so that using them fails with EBADF. Output to a closed standard
    error is discarded.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        if _is_closed(number):
            _open_null_as(number, flags)
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:  # a test may have replaced it
        sys.stdout = _text_output(sys.stdout)


def check_output() -> None:
    """Fail before a long run if standard output is closed or its reader is gone.

    :raises OSError: standard output cannot be written.
    """
    try:
        os.write(STDOUT, b"")
        poll = select.poll()
        poll.register(STDOUT, 0)
        if any(found & select.POLLERR for _, found in poll.poll(0)):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    except OSError as error:
        _discard_output()
        raise _output_error(error) from error


def finish_output() -> None:
    """Flush standard output.

    :raises OSError: it cannot be written; the buffered output is then discarded.
    """
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()
        raise


def print_error(line: str) -> None:
    """Write a line to standard error; ignore errors."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _output_error(error: OSError) -> OSError:
    why = os.strerror(error.errno or errno.EIO).lower()
    return OSError(error.errno, f"cannot write standard output: {why}")


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def _open_null_as(number: int, flags: int) -> None:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def _text_output(old: TextIO | None) -> TextIO:
    """Return a text file on standard output with the settings of ``old``, or with defaults."""
    return io.TextIOWrapper(
        io.BufferedWriter(StandardOutput(STDOUT, "w", closefd=False)),
        encoding=old.encoding if old else "utf-8",
        errors=old.errors if old else "backslashreplace",
        line_buffering=bool(old and old.line_buffering),
    )


def _discard_output() -> None:
    """Redirect standard output to ``/dev/null``, so that the flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
