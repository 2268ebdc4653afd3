"""Clear bytes behind the end of a TLS connection that were read together with its records."""

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

_REPLACED = ("recv", "recv_into", "pending")


class ClearBytes:
    """Stands in for some methods of a socket until the bytes are read."""

    def __init__(self, sock: socket.socket, data: bytes) -> None:
        """Serve ``data`` in front of what ``sock`` receives."""
        self._sock = sock
        self._rest = bytearray(data)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return up to ``buflen`` of the bytes."""
        piece = bytes(self._rest[:buflen])
        if not flags & socket.MSG_PEEK:
            self._remove(len(piece))
        return piece

    def recv_into(self, buffer: "Buffer", nbytes: int | None = None, flags: int = 0) -> int:
        """Copy some of the bytes into ``buffer`` and return their number."""
        with memoryview(buffer) as view, view.cast("B") as out:
            piece = self.recv(min(nbytes or len(out), len(out)), flags)
            out[: len(piece)] = piece
        return len(piece)

    def pending(self) -> int:
        """Return how many of the bytes are left."""
        return len(self._rest)

    def _remove(self, count: int) -> None:
        del self._rest[:count]
        if not self._rest:
            for name in _REPLACED:
                vars(self._sock).pop(name, None)


def serve_first(sock: socket.socket, data: bytes) -> None:
    """Let ``sock`` return ``data`` before what it receives."""
    stand_in = ClearBytes(sock, data)
    for name in _REPLACED:
        setattr(sock, name, getattr(stand_in, name))
