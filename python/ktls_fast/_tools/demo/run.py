"""The demo with a proxy, from its options to its exit status."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait

from ktls_fast._tools.failure import CommandError
from ktls_fast._tools.parent import end_with_parent

from .client import run_job
from .job import Progress, TransferJob, TransferOutcome, server_name
from .plan import client_kinds, rekey_every, split_size
from .proxy_process import ProxyProcess
from .result import DemoResult, judge
from .show import progress_bar, report
from .upstream import serve

__all__ = ["run"]

START_TIMEOUT = 30.0
MIN_RATE = 10 * 10**6
"""Minimum rate in bytes per second; a slower demo is aborted."""

PROCESSES = multiprocessing.get_context("spawn")


def run(size: int, connections: int, *, as_json: bool = False) -> int:
    """Run the demo and return the exit status."""
    return report(measure(size, connections), as_json=as_json)


def measure(size: int, connections: int) -> DemoResult:
    """Send ``size`` bytes in each direction and check them."""
    parts = split_size(size, connections)
    with (
        _process(serve) as upstream,
        ProxyProcess(
            [server_name(number) for number, _ in enumerate(parts)],
            upstream=_port_of(upstream),
            rekey_every=rekey_every(parts[-1]),
        ) as proxy,
    ):
        jobs = _plan_jobs(parts, proxy)
        with progress_bar(size) as progress:
            outcomes = _run_jobs(jobs, progress)
        output = proxy.stop()  # afterwards the upstream has reported all its digests
        return judge(jobs, outcomes, _digests(upstream), output)


def _plan_jobs(parts: Sequence[int], proxy: ProxyProcess) -> list[TransferJob]:
    return [
        TransferJob(
            kind=kind,
            number=number,
            port=proxy.port,
            size=part,
            rekey_every=rekey_every(part),
            ca_file=str(proxy.ca_file),
        )
        for number, (kind, part) in enumerate(zip(client_kinds(len(parts)), parts, strict=True))
    ]


def _run_jobs(jobs: Sequence[TransferJob], progress: Progress) -> dict[int, TransferOutcome]:
    """Run all jobs at the same time, and return an outcome for each."""
    outcomes: dict[int, TransferOutcome] = {}
    with ExitStack() as stack:
        running = {stack.enter_context(_process(run_job, job)): job.number for job in jobs}
        deadline = time.monotonic() + START_TIMEOUT + sum(job.size for job in jobs) / MIN_RATE
        while running and (ready := wait(running, deadline - time.monotonic())):
            for pipe in ready:
                assert isinstance(pipe, Pipe)
                message = _receive(pipe, running[pipe])
                if isinstance(message, TransferOutcome):
                    outcomes[running.pop(pipe)] = message
                else:
                    progress(message)
    for number in running.values():
        outcomes[number] = TransferOutcome(number=number, error="it did not finish in time")
    return outcomes


def _receive(pipe: Pipe, number: int) -> int | TransferOutcome:
    try:
        message: int | TransferOutcome = pipe.recv()
    except EOFError:
        return TransferOutcome(number=number, error="its process ended without a result")
    return message


def _port_of(upstream: Pipe) -> int:
    if not upstream.poll(START_TIMEOUT):
        msg = f"the upstream did not start within {START_TIMEOUT:g} s"
        raise CommandError(msg)
    port: int = upstream.recv()
    return port


def _digests(upstream: Pipe) -> dict[int, str]:
    digests: dict[int, str] = {}
    while upstream.poll():
        number, digest = upstream.recv()
        digests[number] = digest
    return digests


def _run_in_child(parent: int, target: Callable[..., None], *arguments: object) -> None:
    """Call ``target`` in a child process that ignores Ctrl-C and ends when its parent ends.

    A terminal sends Ctrl-C to the whole group; only the parent handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)  # a client may write the file that SSLKEYLOGFILE names
    end_with_parent(parent, signal.SIGKILL)
    target(*arguments)


@contextmanager
def _process(target: Callable[..., None], *arguments: object) -> Iterator[Pipe]:
    """Run ``target(*arguments, pipe)`` in a process, which is killed at the end of the block.

    Yield the other end of the pipe.
    """
    ours, theirs = PROCESSES.Pipe()
    arguments = (os.getpid(), target, *arguments, theirs)
    process = PROCESSES.Process(target=_run_in_child, args=arguments, daemon=True)
    process.start()
    theirs.close()
    with ours:
        try:
            yield ours
        finally:
            process.kill()
            process.join()
