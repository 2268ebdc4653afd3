"""Senders over an offload queue, or in software, and a reader that throws all away."""

from __future__ import annotations

import hashlib
import os
import socket
import threading

from ktls_fast import KtlsSocket, OffloadQueue
from tests.ktls_ends import SOL_TLS, TCP_ULP, TLS_TX, generation

RECORD = 16384
OVERHEAD = 22
BATCH = 64 * RECORD  # one send
BLOCK = 1 << 18  # what is hashed and sent at a time
BLOCKS = 32  # a round
PATIENCE = 60.0


class Ends:
    """A sender, and a thread that reads its wire without copying it."""

    def __init__(self, workers: int) -> None:
        self.queue = OffloadQueue(workers)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            self._far, _ = listener.accept()
        self.sender = KtlsSocket(near, device=self.queue)
        self.sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        self.sender.setsockopt(SOL_TLS, TLS_TX, generation(0).struct())
        self._sent = self._seen = 0
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def send(self, data: bytes) -> None:
        """Send whole records."""
        self._sent += len(data) // RECORD * (RECORD + OVERHEAD)
        self.sender.sendall(data)

    def wait(self) -> None:
        """Until the reader has seen all."""
        with self._more:
            assert self._more.wait_for(lambda: self._seen == self._sent, PATIENCE)

    def close(self) -> None:
        """End the connection and the threads."""
        self.sender.close()
        self._reader.join()
        self._far.close()
        self.queue.close()

    def _read(self) -> None:
        room = bytearray(1 << 20)
        while count := self._far.recv_into(room, len(room), socket.MSG_TRUNC):
            with self._more:
                self._seen += count
                self._more.notify()


class Submit:
    """One send of 64 full records: the time of the caller's thread."""

    def __init__(self, workers: int) -> None:
        self._ends = Ends(workers)
        self._data = os.urandom(BATCH)

    def reset(self) -> None:
        """Let the rings run empty."""
        self._ends.wait()

    def run(self) -> None:
        """Send."""
        self._ends.send(self._data)

    def check(self) -> None:
        """All of it arrives."""
        self._ends.wait()

    def close(self) -> None:
        """End the connection."""
        self._ends.close()


class Produce:
    """A sender that hashes each block before it sends it, until the reader has seen all."""

    def __init__(self, workers: int) -> None:
        self._ends = Ends(workers)
        self._block = os.urandom(BLOCK)

    def reset(self) -> None:
        """Nothing is left over."""

    def run(self) -> None:
        """Hash, send, wait."""
        for _ in range(BLOCKS):
            hashlib.sha256(self._block).digest()
            self._ends.send(self._block)
        self._ends.wait()

    def check(self) -> None:
        """All of it has arrived."""
        self._ends.wait()

    def close(self) -> None:
        """End the connection."""
        self._ends.close()
