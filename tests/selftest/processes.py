"""A second process, for cases in which each process has one end."""

import os
import select
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.forked import fork

PATIENCE = 60.0


@contextmanager
def in_child(act: Callable[[], None]) -> Iterator[None]:
    """Run ``act`` in a child process during the block.

    The child must exit with status 0 after the block; a child that hangs is killed.
    """
    child = fork()
    if not child:
        _leave_after(act)
    try:
        yield
        assert _ended(child), "the child does not end"
    finally:
        if not _ended(child, 0):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _leave_after(act: Callable[[], None]) -> None:
    status = 1
    try:
        act()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _ended(child: int, patience: float = PATIENCE) -> bool:
    handle = os.pidfd_open(child)
    try:
        return bool(select.select([handle], [], [], patience)[0])
    finally:
        os.close(handle)
