"""One connection through the proxy, from the accepted socket to the line in the log."""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import ktls_fast
from ktls_fast import ClientConfig, Connection, ServerConfig

from .failure import reason
from .options import Options
from .report import Report

__all__ = ["Originate", "Role", "Terminate"]

LEAVE_TIMEOUT = 1.0
"""Seconds for a client to notice that we have nothing to say to it."""


class Role(Protocol):
    """What a proxy does with a connection that it has accepted."""

    def serve(self, client: socket.socket, report: Report, stop_fd: int) -> None:
        """Serve ``client`` to its end, and write into ``report`` how that was.

        :raises OSError: it ended badly, and ``report.result`` says how.
        """


@dataclass(frozen=True, slots=True)
class Terminate:
    """TLS in, plain out."""

    options: Options
    config: ServerConfig

    def serve(self, client: socket.socket, report: Report, stop_fd: int) -> None:
        """Shake hands first: a client that cannot do that costs the upstream nothing."""
        with _shake_hands(client, report, self.options):
            connection = ktls_fast.accept(client, self.config)
        with connection, _described(connection, report):
            try:
                upstream = _connect(self.options, report)
            except OSError:
                _take_leave(connection)
                raise
            with upstream:
                _relay(connection, upstream, self.options, report, stop_fd)


@dataclass(frozen=True, slots=True)
class Originate:
    """Plain in, TLS out."""

    options: Options
    config: ClientConfig

    def serve(self, client: socket.socket, report: Report, stop_fd: int) -> None:
        """Connect for each client anew; the handshake proves the upstream's name."""
        server_name = self.options.server_name or self.options.connect.host
        with _connect(self.options, report) as upstream:
            with _shake_hands(upstream, report, self.options):
                connection = Connection.client(upstream, self.config, server_name)
            with connection, _described(connection, report):
                _relay(connection, client, self.options, report, stop_fd)


def _connect(options: Options, report: Report) -> socket.socket:
    try:
        upstream = socket.create_connection(options.connect, options.connect_timeout)
    except OSError as error:
        report.result = f"upstream {options.connect}: {reason(error)}"
        raise
    upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return upstream


def _take_leave(connection: Connection) -> None:
    """Close by close_notify, and read what is on its way: unread bytes would make it a reset."""
    deadline = time.monotonic() + LEAVE_TIMEOUT
    connection.settimeout(LEAVE_TIMEOUT)
    with contextlib.suppress(OSError):
        connection.close_notify()
        while connection.read() and time.monotonic() < deadline:
            pass


@contextmanager
def _shake_hands(sock: socket.socket, report: Report, options: Options) -> Iterator[None]:
    sock.settimeout(options.handshake_timeout)
    try:
        yield
    except TimeoutError:
        report.result = f"handshake failed: not done in {options.handshake_timeout:g} s"
        raise
    except OSError as error:
        report.result = f"handshake failed: {reason(error)}"
        raise


@contextmanager
def _described(connection: Connection, report: Report) -> Iterator[None]:
    try:
        yield
    finally:
        report.describe(connection)


def _relay(
    connection: Connection, plain: socket.socket, options: Options, report: Report, stop_fd: int
) -> None:
    connection.settimeout(None)
    plain.settimeout(None)
    try:
        connection.relay(plain, idle_timeout=options.idle_timeout, stop_fd=stop_fd)
    except TimeoutError:
        report.result = f"idle for {options.idle_timeout:g} s"
        raise
    except OSError as error:
        report.result = reason(error)
        raise
    report.result = "ok"
