"""Socket objects for descriptors that a connection owns."""

import functools
import socket
from typing import Any

__all__ = ["borrow", "borrow_back"]


class Borrowed:
    """A socket whose descriptor belongs to a connection: closing it only lets go of it."""

    __slots__ = ()

    def _real_close(self: socket.socket, *_: object) -> None:  # type: ignore[misc]
        self.detach()

    def __del__(self: socket.socket) -> None:  # type: ignore[misc]
        # A socket object closes the descriptor that it has when it is freed.
        self.detach()


@functools.cache
def borrowed_class(kind: type[socket.socket]) -> Any:
    """Return the class of borrowed sockets that are instances of ``kind``."""
    return type(f"Borrowed{kind.__name__.capitalize()}", (Borrowed, kind), {"__slots__": ()})


def borrow(fd: int) -> socket.socket:
    """Return a socket object for a descriptor."""
    sock: socket.socket = borrowed_class(socket.socket)(fileno=fd)
    sock.setblocking(False)
    return sock


def borrow_back(sock: socket.socket, fd: int) -> socket.socket:
    """Return ``sock``, from which a connection has taken ``fd``, as a socket object for ``fd``.

    The program that has created the object can thus use it while the transport is open, as with
    asyncio's own transports.
    """
    own_class: Any = type(sock)
    kind = sock.family, sock.type, sock.proto
    sock.__class__ = borrowed_class(own_class)
    socket.socket.__init__(sock, *kind, fileno=fd)
    sock.setblocking(False)
    return sock
