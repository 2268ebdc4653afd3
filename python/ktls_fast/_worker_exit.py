"""Clean exit of multiprocessing workers, which end by ``os._exit`` without calling atexit."""

import os
import sys

from . import _core

EXIT_PRIORITY = -100
"""Exit priority that runs after the finalizers of multiprocessing's own queues and pools."""


def finish_in_workers() -> None:
    """Make multiprocessing workers finish sending on closed connections before they exit.

    Other processes do this at exit through the atexit callback of the compiled module.
    """
    os.register_at_fork(after_in_child=_register_in_child)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # This process is itself a worker and has just imported the package.
        _finish_at_exit(_core)


def _register_in_child() -> None:
    """Register the finalizer in a forked child, if multiprocessing is loaded.

    multiprocessing clears the finalizers that the child inherits. Its after-fork callbacks run
    later, so a finalizer that one of them registers stays.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_core, _finish_at_exit)


def _finish_at_exit(_: object) -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, _core._finish_closing, exitpriority=EXIT_PRIORITY)
