"""Waiting for a kernel TLS socket."""

import errno
import math
import os
import select
import socket

__all__ = ["poll"]


def poll(sock: socket.socket, events: int, timeout: float | None = None) -> int:
    """Wait for one of ``events``; return the mask of events, or 0 if none occurred in time.

    :param timeout: seconds; None waits forever.
    :raises ValueError: ``timeout`` is negative or not a number.
    :raises OSError: EBADF if the socket is closed.
    """
    if sock.fileno() < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if timeout is not None and not 0 <= timeout < math.inf:
        msg = f"{timeout} is not a timeout in seconds"
        raise ValueError(msg)
    poller = select.poll()
    poller.register(sock, events)
    fired = poller.poll(None if timeout is None else math.ceil(timeout * 1000))
    return fired[0][1] if fired else 0
