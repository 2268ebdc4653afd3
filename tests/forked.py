"""A call in a process forked off."""

import os
import select
import warnings
from collections.abc import Callable

PATIENCE = 30.0


def fork() -> int:
    """As :func:`os.fork`; newer Pythons warn of other threads, those of NumPy among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Child:
    """A child that makes one call; its answer is the text of the result, or errno and sentence."""

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
        """Wait for it, at most ten seconds."""
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
    """The answer of a child."""
    return Child(call).answer()
