"""Calls in forked processes."""

import ctypes
import os
import platform
import select
import signal
import sys
import warnings
from collections.abc import Callable

import pytest

from ktls_fast import Connection, Suite, TrafficSecret
from tests.ktls_ends import MakePair

PATIENCE = 30.0
SYSTEM_CALLS = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
"""The number of ``clone`` by machine."""
LIBRARY = ctypes.PyDLL(None)


def connections(tcp_pair: MakePair) -> tuple[Connection, Connection]:
    """Return the two ends of a connection, for tests that fork with it."""
    secrets = [TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([i]) * 32) for i in (1, 2)]
    near, far = tcp_pair()
    return (
        Connection.from_secrets(near, server_side=False, tx=secrets[0], rx=secrets[1]),
        Connection.from_secrets(far, server_side=True, tx=secrets[1], rx=secrets[0]),
    )


def fork() -> int:
    """Fork without the warning of newer Pythons about other threads, such as those of NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class ForkedCall:
    """A child process that makes one call."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._answer, answer = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            try:
                os.write(answer, _answer(call).encode())
            finally:
                os._exit(0)
        os.close(answer)

    def answer(self) -> str:
        """Wait for the child, and return the result of its call as text, or errno and message."""
        try:
            ready, _, _ = select.select([self._answer], [], [], PATIENCE)
            assert ready, f"process {self.pid} still waits"
            return os.read(self._answer, 4096).decode()
        finally:
            os.close(self._answer)
            if not ready:
                os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)


def _answer(call: Callable[[], object]) -> str:
    try:
        return repr(call())
    except OSError as error:
        return f"{error.errno} {error.strerror}"


def in_child(call: Callable[[], object]) -> str:
    """Make a call in a child process, and return its answer. See :class:`ForkedCall`."""
    return ForkedCall(call).answer()


def library_fork() -> int:
    """Fork by the C library, as a library of the program may do, without the hooks of Python."""
    return int(LIBRARY.fork())


def system_call_fork() -> int:
    """Fork by a system call, without the hooks of the C library."""
    number = SYSTEM_CALLS.get(platform.machine())
    if number is None or sys.platform != "linux":
        pytest.skip(f"the number of clone on {platform.machine()} is not here")
    return int(LIBRARY.syscall(number, int(signal.SIGCHLD), 0, 0, 0, 0))


def unannounced(make_child: Callable[[], int], call: Callable[[], object]) -> str:
    """Make a call in a child that ``make_child`` forks, and return its answer."""
    answer, say = os.pipe()
    pid = make_child()
    if pid == 0:
        try:
            os.write(say, _answer(call).encode())
        finally:
            os._exit(0)
    os.close(say)
    os.waitpid(pid, 0)
    try:
        return os.read(answer, 4096).decode()
    finally:
        os.close(answer)
