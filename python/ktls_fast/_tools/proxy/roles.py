"""The two roles of a proxy, which turn an accepted socket into both sides of a connection."""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import ktls_fast
from ktls_fast import ClientConfig, Connection, ServerConfig
from ktls_fast._tools.failure import reason

from .handshakes import PendingHandshakes
from .journal import ConnectionReport
from .options import ProxyOptions

__all__ = ["ProxyRole", "RelaySides", "TlsOriginator", "TlsTerminator", "reset"]

DROPPED = "dropped for a newer client"


class RelaySides(NamedTuple):
    """Both sides of a connection through the proxy, ready to be relayed."""

    connection: Connection
    plain: socket.socket

    def close(self) -> None:
        """Close both sides after the relay has ended."""
        self.plain.close()
        self.connection.close()

    def abandon(self, error: OSError) -> None:
        """Close both sides by a reset and an alert, so that the peers know that data is missing."""
        reset(self.plain)
        with contextlib.suppress(OSError), self.connection:
            raise error


class ProxyRole(Protocol):
    """The handling of an accepted connection."""

    def open(
        self, client: socket.socket, report: ConnectionReport, handshakes: PendingHandshakes
    ) -> RelaySides:
        """Take over ``client``, connect to the upstream and return both sides.

        :raises OSError: the connection failed; everything is closed, and ``report.result`` says
            why.
        """


@dataclass(frozen=True, slots=True)
class TlsTerminator:
    """The role that accepts TLS connections and forwards them without TLS."""

    options: ProxyOptions
    config: ServerConfig

    def open(
        self, client: socket.socket, report: ConnectionReport, handshakes: PendingHandshakes
    ) -> RelaySides:
        """Perform the handshake, and then connect to the upstream.

        A client whose handshake fails causes no connection to the upstream.
        """
        with client, _droppable_handshake(client, report, self.options, handshakes):
            connection = ktls_fast.accept(client, self.config)
        try:
            return _make_sides(connection, _connect(self.options, report))
        except OSError:
            # A connection that is left by an exception sends an alert to its peer.
            with connection, _described_at_end(connection, report):
                raise


@dataclass(frozen=True, slots=True)
class TlsOriginator:
    """The role that accepts connections without TLS and forwards them over TLS."""

    options: ProxyOptions
    config: ClientConfig

    def open(
        self, client: socket.socket, report: ConnectionReport, handshakes: PendingHandshakes
    ) -> RelaySides:
        """Connect to the upstream and perform the handshake, which verifies its name."""
        server_name = self.options.server_name or self.options.connect.host
        try:
            with (
                _connect(self.options, report) as upstream,
                _handshake_errors_reported(upstream, report, self.options),
            ):
                connection = Connection.client(upstream, self.config, server_name)
        except BaseException:
            reset(client)
            raise
        return _make_sides(connection, client)


def _make_sides(connection: Connection, plain: socket.socket) -> RelaySides:
    connection.settimeout(None)
    plain.settimeout(None)
    return RelaySides(connection, plain)


def _connect(options: ProxyOptions, report: ConnectionReport) -> socket.socket:
    try:
        upstream = socket.create_connection(options.connect, options.connect_timeout)
    except OSError as error:
        report.result = f"upstream {options.connect}: {reason(error)}"
        raise
    upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return upstream


def reset(sock: socket.socket) -> None:
    """Close ``sock`` by a TCP reset, so that the peer knows that data is missing."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def _droppable_handshake(
    client: socket.socket,
    report: ConnectionReport,
    options: ProxyOptions,
    handshakes: PendingHandshakes,
) -> Iterator[None]:
    with (
        _handshake_errors_reported(client, report, options),
        handshakes.pending(client) as handshake,
    ):
        try:
            yield
        except OSError as error:
            if handshake.dropped:
                raise ConnectionAbortedError(errno.ECONNABORTED, DROPPED) from error
            raise


@contextmanager
def _handshake_errors_reported(
    sock: socket.socket, report: ConnectionReport, options: ProxyOptions
) -> Iterator[None]:
    sock.settimeout(options.handshake_timeout)
    try:
        yield
    except TimeoutError:
        report.result = f"handshake failed: not finished within {options.handshake_timeout:g} s"
        raise
    except OSError as error:
        report.result = f"handshake failed: {reason(error)}"
        raise


@contextmanager
def _described_at_end(connection: Connection, report: ConnectionReport) -> Iterator[None]:
    try:
        yield
    finally:
        report.describe(connection)
