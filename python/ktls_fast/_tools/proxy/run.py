"""The start of a proxy from its options, and its exit status."""

import contextlib
import dataclasses
import functools
import os
import signal
import socket
import sys
from collections.abc import Sequence

from ktls_fast._tools.failure import CommandError
from ktls_fast._tools.files import is_read_by_others, open_log

from .inbox import SignalInbox
from .journal import ProxyJournal, notice_line
from .listener import (
    check_resolves,
    converted_start_errors,
    format_sockname,
    open_listeners,
    raise_file_limit,
)
from .options import ProxyOptions
from .roles import ProxyRole, TlsOriginator, TlsTerminator
from .server import ProxyServer
from .tls import check_server_name, client_config, load_identity, server_config
from .workers import AT_ONCE, Ready, WorkerSupervisor

__all__ = ["run"]


def run(options: ProxyOptions) -> int:
    """Run a proxy until a signal stops it, and return the exit status.

    :raises CommandError: the proxy cannot start.
    """
    options, shortage = _fit_to_file_limit(options)
    role, facts = _make_role(options)
    check_resolves(options.connect)
    log_fd = open_log(options.log)
    listeners = open_listeners(options.listen, workers=options.workers)
    names = [format_sockname(listener.getsockname()) for listener in listeners[0]]
    announce = functools.partial(_announce, options, names, facts, shortage)
    if options.workers == 1:
        with converted_start_errors():
            inbox = SignalInbox(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
            server, journal = _prepare(listeners[0], role, options, inbox, log_fd)
        announce()
        return _serve(server, journal)

    def work(own: Sequence[socket.socket], ready: Ready) -> int:
        return _run_one_worker(own, role, options, log_fd, ready)

    with converted_start_errors():
        supervisor = WorkerSupervisor(
            lambda text: _print_notice(notice_line(options.log_format, text))
        )
        supervisor.start(listeners, work)
    return supervisor.watch(announce)


def _warn_if_readable_by_others(options: ProxyOptions) -> None:
    if options.keylog is not None and is_read_by_others(options.keylog):
        text = f"the key log {options.keylog} can be read by others: chmod 600 {options.keylog}"
        _print_notice(notice_line(options.log_format, text))


def _make_role(options: ProxyOptions) -> tuple[ProxyRole, dict[str, str]]:
    if options.originate:
        config = client_config(options)
        check_server_name(options, config)
        return TlsOriginator(options, config), {}
    identity = load_identity(options)
    role = TlsTerminator(options, server_config(options, identity))
    return role, {"certificate": identity.origin, "fingerprint": identity.fingerprint}


def _run_one_worker(
    listeners: Sequence[socket.socket],
    role: ProxyRole,
    options: ProxyOptions,
    log_fd: int | None,
    ready: Ready,
) -> int:
    """Run one of several workers; only its parent decides when to stop at once."""
    try:
        with converted_start_errors():
            inbox = SignalInbox(
                *(signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, AT_ONCE), at_once_by=AT_ONCE
            )
            server, journal = _prepare(listeners, role, options, inbox, log_fd)
    except CommandError as failure:
        _print_notice(notice_line(options.log_format, str(failure)))
        return 1
    ready()
    return _serve(server, journal)


def _prepare(
    listeners: Sequence[socket.socket],
    role: ProxyRole,
    options: ProxyOptions,
    inbox: SignalInbox,
    log_fd: int | None,
) -> tuple[ProxyServer, ProxyJournal]:
    """Create the server and its journal."""
    journal = ProxyJournal(options.log_format, log_fd, str(options.log))
    return ProxyServer(listeners, role, options, inbox=inbox, journal=journal), journal


def _serve(server: ProxyServer, journal: ProxyJournal) -> int:
    drained = server.run()
    if not drained:
        journal.notice("connections that were still open were cut")
    journal.close()
    if not drained:
        os._exit(1)  # their threads may be blocked in compiled code, so they cannot be joined
    return 0


def _fit_to_file_limit(options: ProxyOptions) -> tuple[ProxyOptions, str | None]:
    """Reduce ``max_connections`` to what the limit of open files allows.

    Return the options, and a notice if they were changed.
    """
    limit, need, room = raise_file_limit(options.max_connections)
    if room == options.max_connections:
        return options, None
    shortage = (
        f"the limit of {limit} open files allows --max-connections {room},"
        f" not {options.max_connections}: further connections wait;"
        f" raise `ulimit -n` to {need}"
    )
    return dataclasses.replace(options, max_connections=room), shortage


def _announce(
    options: ProxyOptions,
    names: list[str],
    facts: dict[str, str],
    shortage: str | None,
) -> None:
    inside, outside = ("plain", "TLS") if options.originate else ("TLS", "plain")
    text = (
        f"listening on {', '.join(names)} ({inside}), forwarding to {options.connect} ({outside})"
    )
    if facts:
        text += f", certificate {facts['certificate']} with SHA-256 {facts['fingerprint']}"
    _print_notice(
        notice_line(options.log_format, text, "start", listen=names, pid=os.getpid(), **facts)
    )
    if shortage is not None:
        _print_notice(notice_line(options.log_format, shortage))
    _warn_if_readable_by_others(options)


def _print_notice(line: str) -> None:
    with contextlib.suppress(OSError):  # standard error has no reader
        print(line, file=sys.stderr, flush=True)
