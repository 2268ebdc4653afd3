"""Listening sockets, and the limit of open files."""

import contextlib
import errno
import os
import resource
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ktls_fast._tools.failure import CommandError, reason

from .options import HostPort

__all__ = [
    "check_resolves",
    "converted_start_errors",
    "count_waiting",
    "format_sockname",
    "open_listeners",
    "raise_file_limit",
]

BACKLOG = 4096
"""Linux allows this many by default. A client that finds the queue full retries after a second."""
FILES_PER_CONNECTION = 4
FILES_BESIDES = 24
"""Number of descriptors that a process needs for everything else."""
STANDARD_STREAMS = 3

TCP_INFO_UNACKED = slice(24, 28)
"""Position of ``tcpi_unacked`` in ``struct tcp_info``: a listening socket's queue length."""


class FileLimit(NamedTuple):
    """The limit of open files of a process, and the connections that it allows."""

    limit: int
    need: int
    """The limit that the requested number of connections needs."""
    connections: int
    """The number of connections that the limit allows, up to the requested number."""


def open_listeners(address: HostPort, *, workers: int = 1) -> list[list[socket.socket]]:
    """Listen on every address of a host; return a list of sockets for each worker.

    Several workers use ``SO_REUSEPORT``, which would also share the port with another program
    that uses it. Therefore the port is first bound without it, which fails if it is in use.
    """
    alone = _listen_everywhere(address, reuse_port=False)
    if workers == 1:
        return [alone]
    port = alone[0].getsockname()[1]
    for listener in alone:
        listener.close()
    shared = address._replace(port=port)
    return [_listen_everywhere(shared, reuse_port=True) for _ in range(workers)]


def format_sockname(sockname: Sequence[object]) -> str:
    """Return an address of ``getsockname`` or ``accept`` as ``HOST:PORT``."""
    return str(HostPort(str(sockname[0]), int(str(sockname[1]))))


def check_resolves(address: HostPort) -> None:
    """Raise CommandError if the host is unknown, at start rather than in every connection."""
    _resolve(address, "--connect")


def raise_file_limit(connections: int) -> FileLimit:
    """Raise the soft limit of open files as far as needed, up to the hard limit.

    :raises CommandError: the limit is too low for a single connection.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    besides = FILES_BESIDES + _count_inherited()
    fewest = besides + FILES_PER_CONNECTION
    need = besides + connections * FILES_PER_CONNECTION
    limit = need if hard == resource.RLIM_INFINITY else min(need, hard)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        limit = need if soft == resource.RLIM_INFINITY else soft
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < fewest:
        msg = (
            f"the limit of {limit} open files is too low for a connection;"
            f" raise `ulimit -n` to {fewest} or more, {need} for all of --max-connections"
        )
        raise CommandError(msg)
    room = (limit - besides) // FILES_PER_CONNECTION
    return FileLimit(limit, need, min(connections, room))


@contextlib.contextmanager
def converted_start_errors() -> Iterator[None]:
    """Convert errors of the system during start into :class:`CommandError`."""
    try:
        yield
    except OSError as error:
        msg = f"cannot start: {reason(error)}{_file_limit_advice(error)}"
        raise CommandError(msg) from error
    except RuntimeError as error:  # a thread cannot be started
        msg = f"cannot start: {error}"
        raise CommandError(msg) from error


def count_waiting(listener: socket.socket) -> int:
    """Return the number of clients waiting to be accepted; 1 if the system does not report it."""
    try:
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_UNACKED.stop)
    except (AttributeError, OSError):
        return 1
    return max(1, int.from_bytes(info[TCP_INFO_UNACKED], sys.byteorder))


def _count_inherited() -> int:
    """Return the number of inherited descriptors; 0 if the system does not report it."""
    try:
        own = len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - listdir opens one itself
    except OSError:
        return 0
    return max(0, own - STANDARD_STREAMS)


def _listen_everywhere(address: HostPort, *, reuse_port: bool) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, host in _resolve(address, "--listen"):
        port = listeners[0].getsockname()[1] if listeners else address.port
        try:
            listeners.append(_listen(family, (host, port), reuse_port=reuse_port))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise _cannot_listen(address, error) from error
            missing = error
    if not listeners and missing is not None:
        raise _cannot_listen(address, missing)
    return listeners


def _listen(family: int, sockname: tuple[str, int], *, reuse_port: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuse_port)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(sockname)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _resolve(address: HostPort, option: str) -> list[tuple[int, str]]:
    flags = socket.AI_PASSIVE if option == "--listen" else 0
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=flags
        )
    except (OSError, UnicodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not a host name"
        msg = f"cannot resolve {address.host!r} of {option} {address}: {why}; check the host name"
        raise CommandError(msg) from error
    return list(dict.fromkeys((family, str(sockname[0])) for family, *_, sockname in found))


def _cannot_listen(address: HostPort, error: OSError) -> CommandError:
    advice = _file_limit_advice(error) or {
        errno.EADDRINUSE: "; stop the program that listens there, or choose another port",
        errno.EACCES: "; choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE",
        errno.EADDRNOTAVAIL: "; --listen requires an address of this machine",
    }.get(error.errno or 0, "")
    return CommandError(f"cannot listen on {address}: {reason(error)}{advice}")


def _file_limit_advice(error: OSError) -> str:
    """Return advice for an error that the limit of open files has caused, otherwise ``""``."""
    if error.errno != errno.EMFILE:
        return ""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"; the limit is {soft}: raise `ulimit -n` to {soft + FILES_BESIDES}"
