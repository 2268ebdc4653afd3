"""A client of the demo, which runs in its own process."""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from typing import Final

from .in_process import run_ktls_fast, run_ssl
from .job import ClientKind, TransferJob, TransferOutcome
from .payload import EchoReceiver, RandomPayload
from .programs import OPENSSL_COMMANDS, run_curl, run_openssl

__all__ = ["run_job"]

RunClient = Callable[[TransferJob, RandomPayload, EchoReceiver], None]

RUNS: Final[dict[ClientKind, RunClient]] = {
    "ssl": run_ssl,
    "curl": run_curl,
    "openssl": run_openssl,
    "ktls_fast": run_ktls_fast,
}

PROGRESS_STEP = 4 * 2**20


class ProgressCounter:
    """A counter of bytes that sends its progress to a pipe in steps of several MiB."""

    def __init__(self, pipe: Pipe) -> None:
        """Create a counter that sends to ``pipe``."""
        self._pipe = pipe
        self._unsent = 0

    def __call__(self, count: int) -> None:
        """Count ``count`` more bytes."""
        self._unsent += count
        if self._unsent >= PROGRESS_STEP:
            self.flush()

    def flush(self) -> None:
        """Send what has been counted since the last message."""
        self._pipe.send(self._unsent)
        self._unsent = 0


def run_job(job: TransferJob, pipe: Pipe) -> None:
    """Perform ``job``.

    Send numbers of bytes to ``pipe``, and a :class:`TransferOutcome` at the end.
    """
    counter = ProgressCounter(pipe)
    payload = RandomPayload(
        job.number, job.size, without=OPENSSL_COMMANDS if job.kind == "openssl" else b""
    )
    echo = EchoReceiver(job.size, counter, head=job.kind != "curl")
    begin = time.monotonic()
    try:
        RUNS[job.kind](job, payload, echo)
    except Exception as error:  # the demo continues and reports any error
        pipe.send(TransferOutcome(number=job.number, error=str(error) or repr(error)))
        return
    counter.flush()
    pipe.send(
        TransferOutcome(
            number=job.number,
            sent=payload.digest,
            received=echo.digest,
            begin=begin,
            end=time.monotonic(),
        )
    )
