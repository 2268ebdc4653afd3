"""Files that commands write: logs, and secrets that only their owner may read."""

import errno
import os
import re
import stat
from pathlib import Path

from .failure import CommandError, reason

__all__ = ["check_key_log", "is_read_by_others", "open_log", "write_private"]

OWN_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
STANDARD = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}

LOG_MODE = 0o640
PRIVATE_MODE = 0o600


def open_log(path: Path | None) -> int | None:
    """Open a log for appending and return its descriptor; ``-`` is standard output.

    Return None without a path.

    :raises CommandError: the file cannot be opened.
    """
    if path is None:
        return None
    try:
        return _open_to_append(path)
    except OSError as error:
        msg = f"cannot open the log {path}: {reason(error)}; {_advice(path, error)}"
        raise CommandError(msg) from error


def check_key_log(path: Path) -> None:
    """Create the key log, readable by its owner only, if it does not exist.

    :raises CommandError: the file cannot be written.
    """
    try:
        os.close(os.open(path, _FLAGS | os.O_NONBLOCK, PRIVATE_MODE))
    except OSError as error:
        why = reason(error)
        if error.errno == errno.ENXIO:
            why = "it is a socket, or a FIFO without a reader"
        msg = (
            f"cannot write the key log {path}: {why};"
            " pass a file in an existing directory to --keylog"
        )
        raise CommandError(msg) from error


def is_read_by_others(path: Path) -> bool:
    """Return True if ``path`` is a regular file that others than its owner can access."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & 0o077)


def write_private(path: Path, text: str) -> None:
    """Write secrets to a file; if it has to be created, only its owner may read it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with open(os.open(path, flags, PRIVATE_MODE), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)


_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def _open_to_append(path: Path) -> int:
    if (number := _own_descriptor(path)) is not None:
        return os.dup(number)  # a socket cannot be opened through /dev/fd
    if _is_fifo(path):
        # O_RDWR keeps a reading end open. So this call does not wait for a reader, and writes do
        # not fail when one reader closes before the next opens. Lines are lost when the FIFO is
        # full.
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    return os.open(path, _FLAGS, LOG_MODE)


def _own_descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that ``path`` names, or None."""
    match = OWN_DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else STANDARD.get(str(path))


def _is_fifo(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _advice(path: Path, error: OSError) -> str:
    if error.errno == errno.EBADF:
        return f"the descriptor {_own_descriptor(path)} is closed"
    if error.errno == errno.ENXIO:
        return "pass a file or a FIFO to --log, not a socket"
    return "pass a file in an existing directory to --log"
