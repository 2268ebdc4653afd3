"""The connections of one process, a thread for each."""

import os
import socket
import threading
import time
from collections.abc import Callable

from .journal import Journal
from .listener import name_of
from .report import Report
from .session import Role

__all__ = ["Sessions"]


class Sessions:
    """Runs a thread for each connection, counts them, and tells all of them to stop."""

    def __init__(self, role: Role, journal: Journal, on_end: Callable[[], None]) -> None:
        """Serve by ``role``; ``on_end`` is called by each thread when its connection has ended."""
        self._role = role
        self._journal = journal
        self._on_end = on_end
        self._lock = threading.Lock()
        self._open = 0
        self._accepted = 0
        self._failed = 0
        self._stopping = False
        self._stop_reader, self._stop_writer = os.pipe()

    @property
    def open(self) -> int:
        """How many have not ended."""
        return self._open

    def activity(self) -> dict[str, int]:
        """How many are open, were accepted, and ended badly."""
        return {"open": self._open, "accepted": self._accepted, "failed": self._failed}

    def start(self, client: socket.socket, address: tuple[object, ...]) -> None:
        """Serve ``client``, which is ours from now on.

        :raises RuntimeError: the system has no more threads; ``client`` is closed.
        """
        thread = threading.Thread(target=self._run, args=(client, name_of(address)), daemon=True)
        with self._lock:
            self._open += 1
            self._accepted += 1
        try:
            thread.start()
        except RuntimeError:
            client.close()
            self._end(failed=True)
            raise

    def stop(self) -> None:
        """Have each send its close_notify and end within a second or so."""
        self._stopping = True
        os.write(self._stop_writer, b"\0")  # never read, so that all of them see it

    def _run(self, client: socket.socket, address: str) -> None:
        report = Report(address)
        begin = time.monotonic()
        try:
            with client:
                self._role.serve(client, report, self._stop_reader)
        except OSError:
            pass  # the report says what happened
        finally:
            self._log(report, time.monotonic() - begin)
            self._end(failed=report.result != "ok")

    def _log(self, report: Report, seconds: float) -> None:
        report.seconds = round(seconds, 3)
        if self._stopping and report.result == "ok":
            report.result = "stopped"
        self._journal.connection(report)

    def _end(self, *, failed: bool) -> None:
        with self._lock:
            self._open -= 1
            self._failed += failed
        self._on_end()
