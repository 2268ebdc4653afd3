"""The sockets that a scenario starts with."""

import socket
from collections.abc import Callable

__all__ = ["UnsupportedSocketsError", "sockets_of"]

IPPROTO_MPTCP = 262


class UnsupportedSocketsError(Exception):
    """The host does not support the sockets of a scenario; the text says why."""


def sockets_of(name: str) -> list[socket.socket]:
    """Return the sockets A and B of a scenario, or only A.

    :raises UnsupportedSocketsError: the host does not support sockets of this kind.
    """
    return KINDS.get(name, _tcp)()


def _tcp(family: int = socket.AF_INET, protocol: int = 0) -> list[socket.socket]:
    """Return both ends of a connection on the loopback interface."""
    with socket.socket(family, socket.SOCK_STREAM, protocol) as listener:
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen(1)
        near = socket.socket(family, socket.SOCK_STREAM, protocol)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [near, far]


def _tcp_over_ipv6() -> list[socket.socket]:
    try:
        return _tcp(socket.AF_INET6)
    except OSError as error:
        msg = f"no IPv6: {error}"
        raise UnsupportedSocketsError(msg) from error


def _mptcp() -> list[socket.socket]:
    """Return both ends of a Multipath TCP connection."""
    try:
        return _tcp(protocol=IPPROTO_MPTCP)
    except OSError as error:
        msg = f"no MPTCP: {error}"
        raise UnsupportedSocketsError(msg) from error


def _udp() -> list[socket.socket]:
    return [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]


KINDS: dict[str, Callable[[], list[socket.socket]]] = {
    "ulp.listening": lambda: [socket.create_server(("127.0.0.1", 0))],
    "ulp.udp": _udp,
    "ulp.unix": lambda: list(socket.socketpair()),
    "ulp.ipv6": _tcp_over_ipv6,
    "ulp.mptcp": _mptcp,
}
