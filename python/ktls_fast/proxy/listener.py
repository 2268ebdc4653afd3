"""Listening sockets, and the room they need."""

import errno
import resource
import socket
from collections.abc import Sequence
from typing import NamedTuple

from .failure import Failure, reason
from .options import Address

__all__ = ["check_resolves", "name_of", "open_listeners", "raise_file_limit"]

BACKLOG = 4096
"""What Linux allows by default. A client that finds the queue full tries again after a second."""
FILES_PER_CONNECTION = 4
FILES_BESIDES = 24
"""Descriptors that a process needs for everything else."""


class FileLimit(NamedTuple):
    """How many files a process may have open, and what that means."""

    limit: int
    need: int
    """What was asked for takes this many."""
    connections: int
    """There is room for this many, and always for one."""


def open_listeners(address: Address, *, workers: int = 1) -> list[list[socket.socket]]:
    """Listen on every address of a host: one list of sockets for each worker.

    Several workers listen by ``SO_REUSEPORT``, which would also share the port with a stranger
    who uses it. So the port is first bound alone, to learn that it is free.
    """
    alone = _listen_everywhere(address, reuse_port=False)
    if workers == 1:
        return [alone]
    port = alone[0].getsockname()[1]
    for listener in alone:
        listener.close()
    shared = address._replace(port=port)
    return [_listen_everywhere(shared, reuse_port=True) for _ in range(workers)]


def name_of(sockname: Sequence[object]) -> str:
    """``HOST:PORT`` of what ``getsockname`` and ``accept`` return."""
    return str(Address(str(sockname[0]), int(str(sockname[1]))))


def check_resolves(address: Address) -> None:
    """Fail now if a name is not known, rather than in every connection."""
    _resolve(address, "--connect")


def raise_file_limit(connections: int) -> FileLimit:
    """Raise the soft limit of open files, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = connections * FILES_PER_CONNECTION + FILES_BESIDES
    limit = need if hard == resource.RLIM_INFINITY else min(need, hard)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        limit = need if soft == resource.RLIM_INFINITY else soft
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    room = (limit - FILES_BESIDES) // FILES_PER_CONNECTION
    return FileLimit(limit, need, max(1, min(connections, room)))


def _listen_everywhere(address: Address, *, reuse_port: bool) -> list[socket.socket]:
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


def _resolve(address: Address, option: str) -> list[tuple[int, str]]:
    flags = socket.AI_PASSIVE if option == "--listen" else 0
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=flags
        )
    except (OSError, UnicodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not a host name"
        msg = f"cannot resolve {address.host!r} of {option} {address}: {why}; check the host name"
        raise Failure(msg) from error
    return list(dict.fromkeys((family, str(sockname[0])) for family, *_, sockname in found))


def _cannot_listen(address: Address, error: OSError) -> Failure:
    advice = {
        errno.EADDRINUSE: "; stop the program that listens there, or choose another port",
        errno.EACCES: "; choose a port from 1024 up, or give the program CAP_NET_BIND_SERVICE",
        errno.EADDRNOTAVAIL: "; --listen needs an address of this machine",
    }.get(error.errno or 0, "")
    return Failure(f"cannot listen on {address}: {reason(error)}{advice}")
