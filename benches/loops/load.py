"""A server in its own process, and a client that loads it from another core."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import ktls_fast
from benches import identity
from benches.identity import SUITE
from benches.loops.server import HOST, payload
from benches.records.work import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE: Final = 60.0
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD_END: Final = b"\r\n\r\n"
LIMIT: Final = 1 << 16


class LoopServer:
    """A server in its own process, on the first core."""

    def __init__(
        self, way: str, kind: str, size: int, folder: Path, settings: Mapping[str, str]
    ) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "benches.loops.server", way, kind, str(size), str(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **identity.environment(folder), **settings},
        )
        assert self._process.stdout is not None
        port = self._process.stdout.readline()
        assert port, f"{way}: the server does not listen"
        self.port = int(port)
        os.sched_setaffinity(self._process.pid, _cores()[:1])

    def cpu_seconds(self) -> float:
        """Return the CPU time in seconds that all threads of the process have used."""
        return time.clock_gettime(~self._process.pid << 3 | PROCESS_CLOCK)

    def taken_over(self) -> int:
        """Return the number of connections that the engine of ``ktls_fast`` carries."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("?\n")
        stdin.flush()
        return int(stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate(timeout=PATIENCE)


PROCESS_CLOCK: Final = 2
"""The low bits of the id of the clock that measures the CPU time of a whole process."""


class LoadingClient:
    """A connection to a server that makes one request at a time."""

    def __init__(self, kind: str, size: int, port: int, folder: Path) -> None:
        cert = (folder / "cert.pem").read_bytes()
        config = ktls_fast.ClientConfig(cert, suites=[SUITE])
        self._ends = ExitStack()
        sock = self._ends.enter_context(socket.create_connection((HOST, port), PATIENCE))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = ktls_fast.Connection.client(sock, config, "localhost")
        self._ends.callback(self._tls.close)
        self._answer = bytearray(size)
        self._message = payload(size)
        self._ask = self._get if kind == "aiohttp" else self._echo
        self._head = bytearray(LIMIT)

    def load(self, count: int) -> None:
        """Make ``count`` requests."""
        for _ in range(count):
            self._ask()

    def check(self) -> None:
        """Make a request, and check that its answer is the payload."""
        self._answer[:] = bytes(len(self._answer))
        self._ask()
        assert self._answer == self._message, "the answer is wrong"

    def close(self) -> None:
        """Close the connection."""
        self._ends.close()

    def _echo(self) -> None:
        self._tls.sendall(self._message)
        self._fill(0)

    def _get(self) -> None:
        """Make an HTTP request, and read the body of its response."""
        self._tls.sendall(REQUEST)
        have = 0
        while (end := self._head.find(HEAD_END, 0, have)) < 0:
            got = self._tls.recv_into(memoryview(self._head)[have:])
            assert got, "the server ended the connection"
            have += got
        first = self._head[end + len(HEAD_END) : have]
        assert len(first) <= len(self._answer), "the body is longer than requested"
        self._answer[: len(first)] = first
        self._fill(len(first))

    def _fill(self, have: int) -> None:
        room = memoryview(self._answer)
        while have < len(room):
            got = self._tls.recv_into(room[have:])
            assert got, "the server ended the connection"
            have += got


@contextmanager
def on_another_core() -> Iterator[None]:
    """Keep this thread off the core of the server, if the machine has several."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _cores()[1:] or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(os.getpid()))
