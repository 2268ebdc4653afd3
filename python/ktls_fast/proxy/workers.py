"""Several processes on one port, and the one that watches over them."""

import contextlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from ktls_fast._core import _finish_closing

from .inbox import Inbox
from .parent import end_with_parent

__all__ = ["Supervisor"]

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

Serve = Callable[[Sequence[socket.socket]], int]
Notice = Callable[[str], None]


class Supervisor:
    """Starts the workers, passes signals on to them, and ends when they have ended.

    A worker that ends unasked takes the others with it: whoever started us must learn of it, and
    decide.
    """

    def __init__(self, notice: Notice) -> None:
        """Tell what happens to ``notice``."""
        self._notice = notice
        self._workers: set[int] = set()
        self._failed = False
        self._inbox = Inbox(
            *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
        )

    def run(self, listeners: Sequence[Sequence[socket.socket]], serve: Serve) -> int:
        """Fork a worker for each list of listeners; returns the exit status."""
        for own in listeners:
            self._workers.add(_fork(own, listeners, serve))
        _close(listeners)
        self._watch()
        return 1 if self._failed else 0

    def _watch(self) -> None:
        told = killed = False
        with selectors.DefaultSelector() as selector:
            selector.register(self._inbox, selectors.EVENT_READ)
            while self._workers:
                selector.select()
                self._inbox.clear()
                self._reap(expected=told)
                if not told and (self._inbox.stop or self._failed):
                    told = True
                    self._signal(signal.SIGTERM)
                if not killed and self._inbox.stop_at_once:
                    killed = self._failed = True
                    self._signal(signal.SIGKILL)
                if self._inbox.take(signal.SIGUSR1):
                    self._signal(signal.SIGUSR1)

    def _reap(self, *, expected: bool) -> None:
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._workers.remove(pid)
                self._judge(pid, os.waitstatus_to_exitcode(status), expected=expected)

    def _judge(self, pid: int, code: int, *, expected: bool) -> None:
        if expected and code == 0:
            return
        self._failed = True
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        also = "" if expected else "; stopping the others"
        self._notice(f"worker {pid} ended {how}{also}")

    def _signal(self, signum: signal.Signals) -> None:
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)


def _fork(
    own: Sequence[socket.socket], every: Sequence[Sequence[socket.socket]], serve: Serve
) -> int:
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until the worker's own inbox is there
    pid = os.fork()
    if not pid:
        _be_worker(parent, own, [listeners for listeners in every if listeners is not own], serve)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    return pid


def _be_worker(
    parent: int,
    own: Sequence[socket.socket],
    others: Sequence[Sequence[socket.socket]],
    serve: Serve,
) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all of us
        end_with_parent(parent, signal.SIGTERM)
        _close(others)
        status = serve(own)
        _finish_closing()  # what os._exit would cut off
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _close(listeners: Sequence[Sequence[socket.socket]]) -> None:
    """Close what others listen on: clients would be given to a socket that nobody accepts from."""
    for group in listeners:
        for listener in group:
            listener.close()
