"""Relayed pairs of a TLS side and a plain one."""

from __future__ import annotations

import os
import socket
import struct
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from ktls_fast import Sealer, TrafficSecret
from tests.peers.ours import PEER_SEED, paired
from tests.peers.raw import secret_for
from tests.peers.support import DEADLINE, socket_pair
from tests.sleeping import threads_sleep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ktls_fast import Connection, KtlsSocket, Relay, RelayHandle
    from tests.peers.raw import RawPeer

FATAL_INTERNAL_ERROR = (2, 80)
ENDLESS = 0x1303
"""The suite of ChaCha20-Poly1305, whose limit of records cannot be reached."""


class RelayedPair(NamedTuple):
    """A pair that is being relayed, and its far ends; ``ended`` is a future of its end."""

    handle: RelayHandle
    conn: Connection
    peer: RawPeer
    near: socket.socket
    far: socket.socket
    ended: Future[RelayHandle]

    def end(self) -> RelayHandle:
        """Wait for the end of the relay, close both sides, and return the handle."""
        handle = self.ended.result(DEADLINE)
        self.near.close()
        self.conn.close()
        return handle


@contextmanager
def pumped(
    relay: Relay, idle_timeout: float | None = None, suite: int = 0x1301
) -> Iterator[RelayedPair]:
    """Relay a TLS side and a plain one during the block; yield the pair."""
    near, far = socket_pair()
    with near, far, paired(suite=suite) as (conn, peer):
        ended: Future[RelayHandle] = Future()
        handle = relay.add(conn, near, idle_timeout=idle_timeout, on_close=ended.set_result)
        yield RelayedPair(handle, conn, peer, near, far, ended)


def reset(sock: socket.socket) -> None:
    """Close the socket by a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def narrow(pair: RelayedPair) -> None:
    """Make TCP's buffers to the peer small, so that sealed bytes wait on our side."""
    with socket.socket(fileno=os.dup(pair.conn.fileno())) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    pair.peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def send_until_full(sock: socket.socket | KtlsSocket) -> int:
    """Send until nothing is accepted and the relays of this process are idle.

    Return the number of bytes sent.
    """
    sock.settimeout(0.3)
    sent = 0
    for _ in range(100_000):
        try:
            sent += sock.send(bytes(65536))
        except TimeoutError:
            # On a loaded machine, a thread may have work but no processor.
            if threads_sleep("ktls-relay"):
                sock.settimeout(DEADLINE)
                return sent
    pytest.fail(f"{sent} bytes were accepted and none was read")


def flood(sock: socket.socket) -> None:
    """Send empty records of an ENDLESS peer of ``paired`` until the other end closes."""
    sealer = Sealer(TrafficSecret(ENDLESS, secret_for(ENDLESS, PEER_SEED)).crypto_info())
    nothing = np.zeros(50_000, np.int64)
    for _ in range(10_000):
        sock.sendall(sealer.seal_batch(b"", offsets=nothing, lengths=nothing).wire)


def cpu_of_relays() -> int:
    """Return the CPU time of the relay threads of this process, in clock ticks."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")
        if fields[0].endswith("(ktls-relay"):
            numbers = fields[2].split()
            ticks += int(numbers[11]) + int(numbers[12])
    return ticks
