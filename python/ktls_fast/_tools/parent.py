"""Processes that must not outlive their parent."""

import ctypes
import os
import signal

__all__ = ["end_with_parent"]

PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, signum: signal.Signals) -> None:
    """Make the system send ``signum`` to this process when its parent ends, even if it is killed.

    It is called in the child process. Outside of Linux it does nothing.

    :param parent: the process id of the parent, which may already have ended.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return
    prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)
