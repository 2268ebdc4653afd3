"""The two roles of a proxy: from an accepted socket to both sides of a relay."""

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
    """Both sides of a connection through the proxy, ready to be pumped between."""

    connection: Connection
    plain: socket.socket

    def close(self) -> None:
        """Close both sides, of which a relay has told the end."""
        self.plain.close()
        self.connection.close()

    def abandon(self, error: OSError) -> None:
        """Close both sides so that neither peer takes what it got for all there was."""
        reset(self.plain)
        with contextlib.suppress(OSError), self.connection:
            raise error


class Role(Protocol):
    """What a proxy does with a connection that it has accepted."""

    def open(self, client: socket.socket, report: Report, handshakes: Handshakes) -> Link:
        """Take over ``client`` and find its other side.

        :raises OSError: it ended badly, ``report.result`` says how, and all is closed.
        """


@dataclass(frozen=True, slots=True)
class Terminate:
    """TLS in, plain out."""

    options: Options
    config: ServerConfig

    def open(self, client: socket.socket, report: Report, handshakes: Handshakes) -> Link:
        """Shake hands first: a client that cannot do that costs the upstream nothing."""
        with client, _accepted(client, report, self.options, handshakes):
            connection = ktls_fast.accept(client, self.config)
        try:
            return _link(connection, _connect(self.options, report))
        except OSError:
            # Left by an exception, the connection tells its peer of it by an alert.
            with connection, _described(connection, report):
                raise


@dataclass(frozen=True, slots=True)
class Originate:
    """Plain in, TLS out."""

    options: Options
    config: ClientConfig

    def open(self, client: socket.socket, report: Report, handshakes: Handshakes) -> Link:
        """Connect for each client anew; the handshake proves the upstream's name."""
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
    """Close so that the peer does not take what it got for all there was."""
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
