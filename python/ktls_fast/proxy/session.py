"""One connection through the proxy, from the accepted socket to both sides of a relay."""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import ktls_fast
from ktls_fast import ClientConfig, Connection, ServerConfig

from .failure import reason
from .options import Options
from .report import Report

__all__ = ["Link", "Originate", "Role", "Terminate"]

LEAVE_TIMEOUT = 1.0
"""Seconds for a client to notice that we have nothing to say to it."""


class Link(NamedTuple):
    """Both sides of a connection through the proxy, ready to be pumped between."""

    connection: Connection
    plain: socket.socket

    def close(self) -> None:
        """Close the plain side first: the other may have to wait for its peer."""
        self.plain.close()
        self.connection.close()


class Role(Protocol):
    """What a proxy does with a connection that it has accepted."""

    def open(self, client: socket.socket, report: Report) -> Link:
        """Take over ``client`` and find its other side.

        :raises OSError: it ended badly, ``report.result`` says how, and all is closed.
        """


@dataclass(frozen=True, slots=True)
class Terminate:
    """TLS in, plain out."""

    options: Options
    config: ServerConfig

    def open(self, client: socket.socket, report: Report) -> Link:
        """Shake hands first: a client that cannot do that costs the upstream nothing."""
        with client, _shake_hands(client, report, self.options):
            connection = ktls_fast.accept(client, self.config)
        try:
            return _link(connection, _connect(self.options, report))
        except OSError:
            with connection, _described(connection, report):
                _take_leave(connection)
            raise


@dataclass(frozen=True, slots=True)
class Originate:
    """Plain in, TLS out."""

    options: Options
    config: ClientConfig

    def open(self, client: socket.socket, report: Report) -> Link:
        """Connect for each client anew; the handshake proves the upstream's name."""
        server_name = self.options.server_name or self.options.connect.host
        try:
            with (
                _connect(self.options, report) as upstream,
                _shake_hands(upstream, report, self.options),
            ):
                connection = Connection.client(upstream, self.config, server_name)
        except BaseException:
            client.close()
            raise
        return _link(connection, client)


def _link(connection: Connection, plain: socket.socket) -> Link:
    connection.settimeout(None)
    plain.settimeout(None)
    return Link(connection, plain)


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
