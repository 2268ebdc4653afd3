"""Data that is sent through relays."""

from __future__ import annotations

import socket

from tests.peers.raw import DATA, RawPeer
from tests.peers.support import octal

SENT = octal(600_000)
"""More data than the buffers of the pair hold, and less than those of TCP."""

RECORD = 16384


def send_records(peer: RawPeer, data: bytes) -> None:
    """Send data as records of 16 KiB."""
    for at in range(0, len(data), RECORD):
        peer.send(data[at : at + RECORD])


def receive_data(peer: RawPeer) -> bytes:
    """Receive a record of data."""
    record_type, text = peer.receive()
    assert record_type == DATA
    return text


def leave_little_room(near: socket.socket, far: socket.socket) -> None:
    """Make TCP's buffers from the near end to the far one small."""
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
