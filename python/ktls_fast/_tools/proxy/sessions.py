"""The connections of a process: a thread performs each handshake, then a relay moves the data."""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ktls_fast import Connection, Relay, RelayHandle, TruncatedError
from ktls_fast._tools.failure import reason

from .handshakes import PendingHandshakes
from .journal import CUT, TRUNCATED, ConnectionReport, ProxyJournal
from .listener import format_sockname
from .options import ProxyOptions
from .roles import ProxyRole, RelaySides

__all__ = ["EXHAUSTED", "OpenSessions"]

MAX_RELAY_THREADS = 4

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Errors that mean that the system has run out of resources."""


@dataclass(eq=False, slots=True)
class ProxySession:
    """A connection, from its accept to its report."""

    report: ConnectionReport
    begin: float
    connection: Connection | None = None
    """The TLS side, after the handshake."""


class OpenSessions:
    """The open connections of a process, which can be counted and stopped."""

    def __init__(
        self,
        role: ProxyRole,
        options: ProxyOptions,
        journal: ProxyJournal,
        *,
        on_end: Callable[[], None],
        on_exhausted: Callable[[str], None],
    ) -> None:
        """Prepare to serve connections by ``role``.

        Any thread may call the functions.

        :param on_end: is called when a connection has ended.
        :param on_exhausted: is called with the reason when the system has run out of resources.
        """
        self._role = role
        self._idle_timeout = options.idle_timeout
        self._truncation = options.truncation
        self._journal = journal
        self._on_end = on_end
        self._on_exhausted = on_exhausted
        self.handshakes = PendingHandshakes()
        self._lock = threading.Lock()
        self._open = 0
        self._unreported: set[ProxySession] = set()
        self._accepted = 0
        self._failed = 0
        self._stopping = False
        self._relay = Relay(_relay_threads(options.workers))
        self._handles: set[RelayHandle] = set()

    @property
    def open(self) -> int:
        """The number of open connections."""
        return self._open

    def activity(self) -> dict[str, int]:
        """Return the numbers of open, accepted and failed connections."""
        return {"open": self._open, "accepted": self._accepted, "failed": self._failed}

    def start(self, client: socket.socket, address: tuple[object, ...]) -> None:
        """Take over ``client`` and serve it in a thread.

        :raises RuntimeError: no thread can be started; ``client`` is closed.
        """
        thread = threading.Thread(
            target=self._run, args=(client, format_sockname(address)), daemon=True
        )
        with self._lock:
            self._open += 1
            self._accepted += 1
        try:
            thread.start()
        except RuntimeError:
            client.close()
            self._count_end(failed=True)
            raise

    def stop(self) -> None:
        """Make all connections send close_notify and end, within about a second."""
        with self._lock:
            self._stopping = True
            handles = list(self._handles)
        for handle in handles:
            handle.stop()

    def log_as_cut(self) -> None:
        """Log the open connections as cut; the process is about to exit."""
        with self._lock:
            left = list(self._unreported)
        for session in left:
            if session.connection is not None:
                session.report.describe(session.connection)
            session.report.result = CUT
            self._report(session)

    def close(self) -> None:
        """Stop the relay's threads, after all connections have ended."""
        self._relay.close(drain=0)

    def _run(self, client: socket.socket, address: str) -> None:
        session = ProxySession(ConnectionReport(address), time.monotonic())
        with self._lock:
            self._unreported.add(session)
        try:
            sides = self._role.open(client, session.report, self.handshakes)
        except OSError as error:
            self._note_exhaustion(error)
            self._finish(session)  # the report says what happened
        except BaseException:
            self._finish(session)
            raise
        else:
            self._start_relay(sides, session)

    def _start_relay(self, sides: RelaySides, session: ProxySession) -> None:
        session.connection = sides.connection

        def on_close(handle: RelayHandle) -> None:
            self._on_relay_end(sides, session, handle)

        try:
            handle = self._relay.add(
                *sides,
                idle_timeout=self._idle_timeout,
                truncation=self._truncation,
                on_close=on_close,
            )
        except OSError as error:
            self._note_exhaustion(error)
            session.report.result = reason(error)
            session.report.describe(sides.connection)
            sides.abandon(error)
            self._finish(session)
        else:
            self._register_handle(handle)

    def _note_exhaustion(self, error: OSError) -> None:
        if error.errno in EXHAUSTED:
            self._on_exhausted(reason(error))

    def _register_handle(self, handle: RelayHandle) -> None:
        with self._lock:
            if not handle.done:
                self._handles.add(handle)
        if self._stopping:
            handle.stop()

    def _on_relay_end(self, sides: RelaySides, session: ProxySession, handle: RelayHandle) -> None:
        """Record the result. A thread of the relay calls it, so it must not wait for a peer."""
        with self._lock:
            self._handles.discard(handle)
        session.report.result = self._result(handle)
        self._close_and_finish(sides, session)

    def _result(self, handle: RelayHandle) -> str:
        match handle.error:
            case None | TruncatedError():
                return "ok" if handle.truncated is None else TRUNCATED
            case TimeoutError():
                return f"idle for {self._idle_timeout:g} s"
            case error:
                return reason(error)

    def _close_and_finish(self, sides: RelaySides, session: ProxySession) -> None:
        session.report.describe(sides.connection)
        sides.close()
        self._finish(session)

    def _finish(self, session: ProxySession) -> None:
        report = session.report
        if self._stopping and report.result == "ok":
            report.result = "stopped"
        self._report(session)
        self._count_end(failed=report.result not in ("ok", TRUNCATED))

    def _report(self, session: ProxySession) -> None:
        """Log a connection, unless it was logged before."""
        with self._lock:
            if session not in self._unreported:
                return
            self._unreported.remove(session)
        session.report.seconds = round(time.monotonic() - session.begin, 3)
        self._journal.connection(session.report)

    def _count_end(self, *, failed: bool) -> None:
        with self._lock:
            self._open -= 1
            self._failed += failed
        self._on_end()


def _relay_threads(workers: int) -> int:
    """Return the number of relay threads: a worker's share of the processors, at most 4."""
    return max(1, min(MAX_RELAY_THREADS, (os.cpu_count() or 1) // workers))
