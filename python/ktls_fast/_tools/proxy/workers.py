"""Several worker processes on one port, and their supervisor."""

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from ktls_fast._core import _finish_closing
from ktls_fast._tools.parent import end_with_parent

from .inbox import SignalInbox

__all__ = ["AT_ONCE", "Ready", "WorkerSupervisor"]

AT_ONCE = signal.SIGUSR2
"""Signal for a worker to cut its connections. Others may send SIGTERM to the whole group."""

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, AT_ONCE)

CUT_TIMEOUT = 5.0
"""Seconds that workers have to log the connections that they cut, and to exit."""

Ready = Callable[[], None]
"""A function that a worker calls when it is ready to serve."""

Serve = Callable[[Sequence[socket.socket], Ready], int]
Notice = Callable[[str], None]


class WorkerSupervisor:
    """The parent of the workers, which forwards signals to them and waits for their end.

    If a worker ends unexpectedly, the others are stopped. The exit status then reports the failure
    to the program that started the proxy.
    """

    def __init__(self, notice: Notice) -> None:
        """Handle the signals of this process; messages are passed to ``notice``."""
        self._notice = notice
        self._workers: set[int] = set()
        self._failed = False
        self._inbox = SignalInbox(
            *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
        )
        self._not_ready = _UnreadyWorkers()

    def start(self, listeners: Sequence[Sequence[socket.socket]], serve: Serve) -> None:
        """Fork a worker for each list of listeners."""
        self._not_ready.count = len(listeners)
        for own in listeners:
            self._workers.add(_fork(own, listeners, self._not_ready, serve))
        _close(listeners)

    def watch(self, announce: Callable[[], None]) -> int:
        """Wait for the workers to end, and return the exit status.

        :param announce: is called when all workers are ready to serve.
        """
        stopping = False
        deadline: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._inbox, selectors.EVENT_READ)
            selector.register(self._not_ready, selectors.EVENT_READ)
            while self._workers:
                left = None if deadline is None else max(0, deadline - time.monotonic())
                found = [key.fileobj for key, _ in selector.select(left)]
                if self._not_ready in found and self._not_ready.take() and not stopping:
                    announce()
                self._inbox.clear()
                self._reap(expected=stopping)
                if not stopping and (self._inbox.stop or self._failed):
                    stopping = True
                    self._signal(signal.SIGTERM)
                if deadline is None and self._inbox.stop_at_once:
                    deadline = time.monotonic() + CUT_TIMEOUT
                    self._failed = True
                    self._signal(AT_ONCE)
                elif deadline is not None and time.monotonic() >= deadline:
                    self._signal(signal.SIGKILL)
                if self._inbox.take(signal.SIGUSR1):
                    self._signal(signal.SIGUSR1)
        return 1 if self._failed else 0

    def _reap(self, *, expected: bool) -> None:
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._workers.remove(pid)
                self._record_exit(pid, os.waitstatus_to_exitcode(status), expected=expected)

    def _record_exit(self, pid: int, code: int, *, expected: bool) -> None:
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


class _UnreadyWorkers:
    """The count of workers that are not ready. It is readable when one has become ready."""

    def __init__(self) -> None:
        self.count = 0
        self._reader, self._writer = socket.socketpair()

    def fileno(self) -> int:
        return self._reader.fileno()

    def notify_ready(self) -> None:
        """Notify the parent that this worker is ready."""
        self._writer.send(b"\0")
        self._writer.close()

    def take(self) -> bool:
        """Count the workers that have become ready; return True if all are."""
        self.count -= len(self._reader.recv(65536))
        return self.count == 0


def _fork(
    own: Sequence[socket.socket],
    every: Sequence[Sequence[socket.socket]],
    not_ready: _UnreadyWorkers,
    serve: Serve,
) -> int:
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until the worker has its own inbox
    pid = os.fork()
    if not pid:
        others = [listeners for listeners in every if listeners is not own]
        _run_worker(parent, others, lambda: serve(own, not_ready.notify_ready))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    return pid


def _run_worker(
    parent: int,
    others: Sequence[Sequence[socket.socket]],
    serve: Callable[[], int],
) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group
        end_with_parent(parent, signal.SIGTERM)
        _close(others)
        status = serve()
        _finish_closing()  # os._exit would drop what is still being sent
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _close(listeners: Sequence[Sequence[socket.socket]]) -> None:
    """Close the listeners of other workers, or clients would wait at sockets that do not accept."""
    for group in listeners:
        for listener in group:
            listener.close()
