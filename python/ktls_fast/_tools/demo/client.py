"""A client of the demo, which runs in its own process."""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from typing import Final

from .in_process import run_ktls_fast, run_ssl
from .job import ClientKind, Job, Outcome
from .payload import Echo, Payload
from .programs import OPENSSL_COMMANDS, run_curl, run_openssl

__all__ = ["run_job"]

Run = Callable[[Job, Payload, Echo], None]

RUNS: Final[dict[ClientKind, Run]] = {
    "ssl": run_ssl,
    "curl": run_curl,
    "openssl": run_openssl,
    "ktls_fast": run_ktls_fast,
}

PROGRESS_STEP = 4 * 2**20


class Teller:
    """A counter of bytes that sends its progress to a pipe in steps of several MiB."""

    def __init__(self, pipe: Pipe) -> None:
        """Create a counter that sends to ``pipe``."""
        self._pipe = pipe
        self._untold = 0

    def __call__(self, count: int) -> None:
        """Count ``count`` more bytes."""
        self._untold += count
        if self._untold >= PROGRESS_STEP:
            self.flush()

    def flush(self) -> None:
        """Send what has been counted since the last message."""
        self._pipe.send(self._untold)
        self._untold = 0


def run_job(job: Job, pipe: Pipe) -> None:
    """Perform ``job``; send numbers of bytes to ``pipe``, and an :class:`Outcome` at the end."""
    teller = Teller(pipe)
    payload = Payload(
        job.number, job.size, without=OPENSSL_COMMANDS if job.kind == "openssl" else b""
    )
    echo = Echo(job.size, teller, head=job.kind != "curl")
    begin = time.monotonic()
    try:
        RUNS[job.kind](job, payload, echo)
    except Exception as error:  # the demo continues and reports any error
        pipe.send(Outcome(number=job.number, error=str(error) or repr(error)))
        return
    teller.flush()
    pipe.send(
        Outcome(
            number=job.number,
            sent=payload.digest,
            received=echo.digest,
            begin=begin,
            end=time.monotonic(),
        )
    )
