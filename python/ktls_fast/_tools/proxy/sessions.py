"""The connections of one process: a thread for each handshake, and a relay for all the rest."""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ktls_fast import Connection, Relay, RelayHandle, TruncatedError
from ktls_fast._tools.failure import reason

from .handshakes import Handshakes
from .journal import CUT, TRUNCATED, Journal, Report
from .listener import name_of
from .options import Options
from .roles import Link, Role

__all__ = ["EXHAUSTED", "Sessions"]

MAX_RELAY_THREADS = 4

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What the system says when it has nothing left for a connection."""


@dataclass(eq=False, slots=True)
class Session:
    """A connection from its start on."""

    report: Report
    begin: float
    connection: Connection | None = None
    """Once its handshake is done."""


class Sessions:
    """Serves connections, counts them, and tells all of them to stop."""

    def __init__(
        self,
        role: Role,
        options: Options,
        journal: Journal,
        *,
        on_end: Callable[[], None],
        on_exhausted: Callable[[str], None],
    ) -> None:
        """Serve by ``role``. Some thread calls the functions.

        :param on_end: when a connection has ended.
        :param on_exhausted: with the reason, when the system had nothing left for one.
        """
        self._role = role
        self._idle_timeout = options.idle_timeout
        self._truncation = options.truncation
        self._journal = journal
        self._on_end = on_end
        self._on_exhausted = on_exhausted
        self.handshakes = Handshakes()
        self._lock = threading.Lock()
        self._open = 0
        self._unreported: set[Session] = set()
        self._accepted = 0
        self._failed = 0
        self._stopping = False
        self._relay = Relay(_relay_threads(options.workers))
        self._pumped: set[RelayHandle] = set()

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
        with self._lock:
            self._stopping = True
            pumped = list(self._pumped)
        for handle in pumped:
            handle.stop()

    def cut(self) -> None:
        """Log those that have not ended: the process is about to, and cuts them."""
        with self._lock:
            left = list(self._unreported)
        for session in left:
            if session.connection is not None:
                session.report.describe(session.connection)
            session.report.result = CUT
            self._report(session)

    def close(self) -> None:
        """Let the relay's threads end, once all connections have."""
        self._relay.close(drain=0)

    def _run(self, client: socket.socket, address: str) -> None:
        session = Session(Report(address), time.monotonic())
        with self._lock:
            self._unreported.add(session)
        try:
            link = self._role.open(client, session.report, self.handshakes)
        except OSError as error:
            self._note_exhaustion(error)
            self._finish(session)  # the report says what happened
        except BaseException:
            self._finish(session)
            raise
        else:
            self._pump(link, session)

    def _pump(self, link: Link, session: Session) -> None:
        session.connection = link.connection

        def on_close(handle: RelayHandle) -> None:
            self._ended(link, session, handle)

        try:
            handle = self._relay.add(
                *link,
                idle_timeout=self._idle_timeout,
                truncation=self._truncation,
                on_close=on_close,
            )
        except OSError as error:
            self._note_exhaustion(error)
            session.report.result = reason(error)
            session.report.describe(link.connection)
            link.abandon(error)
            self._finish(session)
        else:
            self._pumps(handle)

    def _note_exhaustion(self, error: OSError) -> None:
        if error.errno in EXHAUSTED:
            self._on_exhausted(reason(error))

    def _pumps(self, handle: RelayHandle) -> None:
        with self._lock:
            if not handle.done:
                self._pumped.add(handle)
        if self._stopping:
            handle.stop()

    def _ended(self, link: Link, session: Session, handle: RelayHandle) -> None:
        """Note how it was: this is a thread of the relay, which must not wait for a peer."""
        with self._lock:
            self._pumped.discard(handle)
        session.report.result = self._result(handle)
        self._let_go(link, session)

    def _result(self, handle: RelayHandle) -> str:
        match handle.error:
            case None | TruncatedError():
                return "ok" if handle.truncated is None else TRUNCATED
            case TimeoutError():
                return f"idle for {self._idle_timeout:g} s"
            case error:
                return reason(error)

    def _let_go(self, link: Link, session: Session) -> None:
        session.report.describe(link.connection)
        link.close()
        self._finish(session)

    def _finish(self, session: Session) -> None:
        report = session.report
        if self._stopping and report.result == "ok":
            report.result = "stopped"
        self._report(session)
        self._end(failed=report.result not in ("ok", TRUNCATED))

    def _report(self, session: Session) -> None:
        """Log a connection, once."""
        with self._lock:
            if session not in self._unreported:
                return
            self._unreported.remove(session)
        session.report.seconds = round(time.monotonic() - session.begin, 3)
        self._journal.connection(session.report)

    def _end(self, *, failed: bool) -> None:
        with self._lock:
            self._open -= 1
            self._failed += failed
        self._on_end()


def _relay_threads(workers: int) -> int:
    """The processors that a worker has to itself, within reason."""
    return max(1, min(MAX_RELAY_THREADS, (os.cpu_count() or 1) // workers))
