"""Senders on an offload queue or in software, and a reader that discards all data."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import termios
import time
from typing import NoReturn

from ktls_fast import KtlsSocket, OffloadQueue
from tests.ktls_ends import SOL_TLS, TCP_ULP, TLS_TX, generation

RECORD = 16384
OVERHEAD = 22
BLOCK = 1 << 18  # bytes hashed and sent at a time
BLOCKS = 32  # blocks of a round
TIMEOUT = 60.0
POLL_INTERVAL = 0.0002


class QueueEnds:
    """A sender, and a process that reads its records without copying them."""

    def __init__(self, workers: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            far, _ = listener.accept()
        self._count_pipe, count_writer = os.pipe()
        self._reader = os.fork()
        if not self._reader:
            near.close()
            _drain(far, count_writer)
        os.close(count_writer)
        far.close()
        self.queue = OffloadQueue(workers)
        self.sender = KtlsSocket(near, device=self.queue)
        self.sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        self.sender.setsockopt(SOL_TLS, TLS_TX, generation(0).struct())
        self._sent = 0

    def send(self, data: bytes) -> None:
        """Send whole records."""
        self._sent += len(data) // RECORD * (RECORD + OVERHEAD)
        self.sender.sendall(data)

    def wait(self) -> None:
        """Wait until the reader's TCP has received everything."""
        end = time.monotonic() + TIMEOUT
        while (stats := self.queue.stats()).submitted != stats.completed or self._unacknowledged():
            assert time.monotonic() < end
            time.sleep(POLL_INTERVAL)

    def close(self) -> None:
        """Close the connection and the queue, and check how much the reader has received."""
        self.sender.close()
        self.queue.close()
        received = os.read(self._count_pipe, 32)
        os.close(self._count_pipe)
        os.waitpid(self._reader, 0)
        assert int(received) == self._sent

    def _unacknowledged(self) -> bool:
        queued = fcntl.ioctl(self.sender.fileno(), termios.TIOCOUTQ, bytes(4))
        return queued != bytes(4)


def _drain(sock: socket.socket, count_writer: int) -> NoReturn:
    room, seen = bytearray(1 << 20), 0
    try:
        while count := sock.recv_into(room, len(room), socket.MSG_TRUNC):
            seen += count
        os.write(count_writer, str(seen).encode())
    finally:
        os._exit(0)


class SubmitWork:
    """A send of full records while the workers sleep: the time of the caller's thread."""

    def __init__(self, records: int, workers: int) -> None:
        self._ends = QueueEnds(workers)
        self._data = os.urandom(records * RECORD)

    def reset(self) -> None:
        """Wait until the rings are empty."""
        self._ends.wait()

    def run(self) -> None:
        """Send the records."""
        self._ends.send(self._data)

    def check(self) -> None:
        """Wait until everything has been received."""
        self._ends.wait()

    def close(self) -> None:
        """Close the connection."""
        self._ends.close()


class HashAndSendWork:
    """A sender that hashes each block before sending it, until the reader has received all."""

    def __init__(self, workers: int) -> None:
        self._ends = QueueEnds(workers)
        self._block = os.urandom(BLOCK)

    def reset(self) -> None:
        """Do nothing, as a round leaves nothing to send."""

    def run(self) -> None:
        """Hash and send the blocks, and wait for the reader."""
        for _ in range(BLOCKS):
            hashlib.sha256(self._block).digest()
            self._ends.send(self._block)
        self._ends.wait()

    def check(self) -> None:
        """Wait until everything has been received."""
        self._ends.wait()

    def close(self) -> None:
        """Close the connection."""
        self._ends.close()
