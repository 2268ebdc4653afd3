"""Socket objects for descriptors that a connection owns."""

import socket

__all__ = ["BorrowedSocket", "borrow", "borrow_back"]


class BorrowedSocket(socket.socket):
    """A socket whose descriptor belongs to a connection: closing it only lets go of it.

    Whoever creates it must call ``detach`` before the connection closes the descriptor.
    """

    __slots__ = ()

    def _real_close(self, *_: object) -> None:
        self.detach()


def borrow(fd: int) -> BorrowedSocket:
    """Return a socket object for a descriptor."""
    sock = BorrowedSocket(fileno=fd)
    sock.setblocking(False)
    return sock


def borrow_back(sock: socket.socket, fd: int) -> socket.socket:
    """Return a socket object for ``fd``: that which the connection has taken ``fd`` from.

    The program that has created the object can thus use it while the transport is open, as with
    asyncio's own transports.
    """
    if type(sock) is not socket.socket:
        return borrow(fd)
    kind = sock.family, sock.type, sock.proto
    sock.__class__ = BorrowedSocket
    sock.__init__(*kind, fileno=fd)  # type: ignore[misc]
    sock.setblocking(False)
    return sock
