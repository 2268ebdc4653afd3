"""The accept loop of a process, and its shutdown, which is bounded in time."""

import selectors
import signal
import socket
import time
from collections.abc import Sequence

import ktls_fast
from ktls_fast._tools.failure import reason

from .inbox import SignalInbox
from .journal import ProxyJournal
from .listener import count_waiting
from .options import ProxyOptions
from .roles import ProxyRole
from .sessions import EXHAUSTED, OpenSessions

__all__ = ["ProxyServer"]

ACCEPT_PAUSE = 0.5
"""Seconds without accepting after the system ran out of resources."""

ACCEPTED_AT_ONCE = 64
"""Maximum number of clients to accept, or handshakes to drop for them, in a turn of the loop."""

MAX_WAIT = 3600.0
"""Maximum timeout of a wait in seconds: the system's limit is 24 days, options may be longer."""

STOP_GRACE = 3.0
"""Seconds that connections have to send close_notify and end after they are stopped."""

FULL_NOTICE_PAUSE = 60.0
"""Seconds between two notices that the limit of connections is reached."""


class ProxyServer:
    """A server that accepts and serves connections until its inbox receives a signal to stop."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        role: ProxyRole,
        options: ProxyOptions,
        *,
        inbox: SignalInbox,
        journal: ProxyJournal,
    ) -> None:
        """Prepare to serve; see :meth:`run`."""
        self._listeners = listeners
        self._options = options
        self._inbox = inbox
        self._journal = journal
        self._sessions = OpenSessions(
            role, options, journal, on_end=inbox.wake, on_exhausted=self._pause_accepting
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(inbox, selectors.EVENT_READ)
        self._accepting = False
        self._out_of_resources = False
        self._pause_ends = 0.0
        self._next_full_notice = 0.0

    def run(self) -> bool:
        """Serve until a signal to stop, then wait for the connections to end.

        Return False if connections had to be cut, which is logged.
        """
        while not self._inbox.stop:
            self._set_accepting(accepting := self._may_accept())
            self._handle_events(None if accepting else ACCEPT_PAUSE)
        self._close_listeners()
        drained = self._drain()
        if drained:
            self._sessions.close()
        else:
            self._sessions.log_as_cut()
        if self._options.stats:
            self._print_counters()
        return drained

    def _drain(self) -> bool:
        if self._sessions.open:
            self._journal.notice(
                f"stopping; connections still open: {self._sessions.open},"
                f" with {self._options.drain:g} s to end"
            )
        if self._all_end_within(self._options.drain):
            return True
        self._sessions.stop()
        return self._all_end_within(STOP_GRACE)

    def _all_end_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._sessions.open and not self._inbox.stop_at_once:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._handle_events(left)
        return not self._sessions.open

    def _handle_events(self, timeout: float | None) -> None:
        """Wait for an event and handle it."""
        timeout = None if timeout is None else min(timeout, MAX_WAIT)
        for key, _ in self._selector.select(timeout):
            if isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj)
            else:
                self._inbox.clear()
        if self._inbox.take(signal.SIGUSR1):
            self._print_counters()

    def _accept(self, listener: socket.socket) -> None:
        """Accept waiting clients, up to a limit, so that signals are handled in time."""
        if self._may_accept() and self._is_full():
            self._make_room(min(count_waiting(listener), ACCEPTED_AT_ONCE))
            return
        for _ in range(ACCEPTED_AT_ONCE):
            # Once the limit is reached, only the next event of the listener shows another client.
            if self._is_full() or not self._may_accept() or not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        """Accept a client and start to serve it; return False if no client waits."""
        try:
            self._sessions.start(*listener.accept())
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._pause_accepting(reason(error))
            # Other errors concern only this connection, for example if its client has gone.
        except RuntimeError as error:
            self._pause_accepting(str(error))
        else:
            self._out_of_resources = False
        return True

    def _pause_accepting(self, why: str) -> None:
        """Stop accepting for a while: the listener stays readable, and the loop would spin."""
        self._pause_ends = time.monotonic() + ACCEPT_PAUSE
        if not self._out_of_resources:
            self._out_of_resources = True
            self._journal.notice(
                f"cannot accept a connection with {self._sessions.open} open: {why};"
                " trying again twice a second; raise `ulimit -n` or lower --max-connections"
            )

    def _may_accept(self) -> bool:
        if time.monotonic() < self._pause_ends:
            return False
        return not self._is_full() or self._sessions.handshakes.may_drop()

    def _is_full(self) -> bool:
        return self._sessions.open >= self._options.max_connections

    def _make_room(self, clients: int) -> None:
        """Drop the oldest unfinished handshakes, whose ends make room for waiting clients."""
        if not self._sessions.handshakes.drop_oldest(clients):
            self._pause_ends = time.monotonic() + ACCEPT_PAUSE
        self._notice_full()

    def _notice_full(self) -> None:
        if time.monotonic() < self._next_full_notice:
            return
        self._next_full_notice = time.monotonic() + FULL_NOTICE_PAUSE
        self._journal.notice(
            f"the limit of {self._options.max_connections} open connections is reached:"
            " a new client waits, or replaces the oldest unfinished handshake;"
            " raise --max-connections if this is not an attack"
        )

    def _set_accepting(self, accepting: bool) -> None:
        if accepting == self._accepting:
            return
        self._accepting = accepting
        for listener in self._listeners:
            if accepting:
                self._selector.register(listener, selectors.EVENT_READ)
            else:
                self._selector.unregister(listener)

    def _close_listeners(self) -> None:
        self._set_accepting(False)
        for listener in self._listeners:
            listener.close()

    def _print_counters(self) -> None:
        self._journal.counters(self._sessions.activity(), ktls_fast.tls_stat())
