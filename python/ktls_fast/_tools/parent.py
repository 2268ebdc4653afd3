"""Processes that must not outlive the one that started them."""

import ctypes
import os
import signal

__all__ = ["end_with_parent"]

PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, signum: signal.Signals) -> None:
    """Have ``signum`` sent to this process when its parent ends, even if that is killed.

    Call it in the process that was started. Only Linux has this; elsewhere it does nothing.

    :param parent: what ``os.getpid()`` returned in the parent, which may be gone by now.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return
    prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)
