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

from .handshakes import Handshakes
from .journal import Report
from .options import Options

__all__ = ["Link", "Originate", "Role", "Terminate", "reset"]

DROPPED = "dropped for a newer client"


class Link(NamedTuple):
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


class Role(Protocol):
    """The handling of an accepted connection."""

    def open(self, client: socket.socket, report: Report, handshakes: Handshakes) -> Link:
        """Take over ``client``, connect to the upstream and return both sides.

        :raises OSError: the connection failed; everything is closed, and ``report.result`` says
            why.
        """


@dataclass(frozen=True, slots=True)
class Terminate:
    """The role that accepts TLS connections and forwards them without TLS."""

    options: Options
    config: ServerConfig

    def open(self, client: socket.socket, report: Report, handshakes: Handshakes) -> Link:
        """Perform the handshake, and then connect to the upstream.

        A client whose handshake fails causes no connection to the upstream.
        """
        with client, _accepted(client, report, self.options, handshakes):
            connection = ktls_fast.accept(client, self.config)
        try:
            return _link(connection, _connect(self.options, report))
        except OSError:
            # A connection that is left by an exception sends an alert to its peer.
            with connection, _described(connection, report):
                raise


@dataclass(frozen=True, slots=True)
class Originate:
    """The role that accepts connections without TLS and forwards them over TLS."""

    options: Options
    config: ClientConfig

    def open(self, client: socket.socket, report: Report, handshakes: Handshakes) -> Link:
        """Connect to the upstream and perform the handshake, which verifies its name."""
        server_name = self.options.server_name or self.options.connect.host
        try:
            with (
                _connect(self.options, report) as upstream,
                _shake_hands(upstream, report, self.options),
            ):
                connection = Connection.client(upstream, self.config, server_name)
        except BaseException:
            reset(client)
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


def reset(sock: socket.socket) -> None:
    """Close ``sock`` by a TCP reset, so that the peer knows that data is missing."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def _accepted(
    client: socket.socket, report: Report, options: Options, handshakes: Handshakes
) -> Iterator[None]:
    with _shake_hands(client, report, options), handshakes.under_way(client) as handshake:
        try:
            yield
        except OSError as error:
            if handshake.dropped:
                raise ConnectionAbortedError(errno.ECONNABORTED, DROPPED) from error
            raise


@contextmanager
def _shake_hands(sock: socket.socket, report: Report, options: Options) -> Iterator[None]:
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
def _described(connection: Connection, report: Report) -> Iterator[None]:
    try:
        yield
    finally:
        report.describe(connection)
