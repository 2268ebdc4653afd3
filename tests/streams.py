"""Reading from sockets."""

import socket


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read ``count`` bytes."""
    data = bytearray()
    while len(data) < count:
        more = sock.recv(min(65536, count - len(data)))
        assert more, f"end after {len(data)} of {count} bytes"
        data += more
    return bytes(data)


def read_to_end(sock: socket.socket) -> bytes:
    """Read until the peer has ended."""
    data = bytearray()
    while more := sock.recv(65536):
        data += more
    return bytes(data)
