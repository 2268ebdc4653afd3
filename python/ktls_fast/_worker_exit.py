"""The end of a worker of multiprocessing, which leaves by ``os._exit``: no atexit is called."""

import os
import sys

from . import _core

LAST = -100
"""After the finalizers of multiprocessing's own queues and pools."""


def finish_in_workers() -> None:
    """Let workers end as other processes do: the peers of closed connections get everything."""
    os.register_at_fork(after_in_child=_child_begins)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # This is a worker that has imported us by itself.
        _finish_at_the_end(_core)


def _child_begins() -> None:
    """Wait until multiprocessing has dropped the finalizers of the parent; others need nothing."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_core, _finish_at_the_end)


def _finish_at_the_end(_: object) -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, _core._finish_closing, exitpriority=LAST)
