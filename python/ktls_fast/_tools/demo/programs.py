"""Clients that are programs: curl and ``openssl s_client``."""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Final

from .job import HOST, Job
from .payload import Echo, Payload

__all__ = ["OPENSSL_COMMANDS", "ProgramError", "run_curl", "run_openssl"]

BUFFER = 256 * 2**10
TIMEOUT = 60.0

OPENSSL_MESSAGE = 8192
"""Bytes that ``s_client`` reads at a time."""

OPENSSL_COMMANDS: Final = b"QRCkKB"
"""Letters that are commands where they are the first that it reads."""

KEY_UPDATES = (b"k", b"K")
"""Two of these: a KeyUpdate, and one that asks for another in return."""


class ProgramError(Exception):
    """A program did not do what it should; the text holds what it said itself."""


def run_curl(job: Job, payload: Payload, echo: Echo) -> None:
    """Upload from a pipe and download to a pipe, at the same time."""
    command = (
        *("curl", "--silent", "--show-error", "--fail", "--http1.1", "--no-buffer"),
        *("--noproxy", "*", "--cacert", job.ca_file),
        *("--resolve", f"{job.server_name}:{job.port}:{HOST}"),
        # Of known length, so not in chunks; and sent without asking first.
        *("-H", "Transfer-Encoding:", "-H", f"Content-Length: {job.size}", "-H", "Expect:"),
        *("--upload-file", "-", f"https://{job.server_name}:{job.port}/{job.number}"),
    )
    with _started(command, socket.SOCK_STREAM) as (stdin, stdout):
        _exchange(lambda: _upload(stdin, payload), stdout, echo)


def run_openssl(job: Job, payload: Payload, echo: Echo) -> None:
    """Have ``s_client`` send KeyUpdates between the bytes.

    It looks for a command at the start of what it reads, and reads by a socket that keeps messages
    apart. So a letter sent alone is a command, and the payload has none of these letters.
    """
    command = (
        *("openssl", "s_client", "-quiet", "-no_ign_eof", "-verify_quiet"),
        *("-connect", f"{HOST}:{job.port}", "-servername", job.server_name),
        *("-CAfile", job.ca_file, "-verify_hostname", job.server_name, "-verify_return_error"),
    )
    with _started(command, socket.SOCK_SEQPACKET) as (stdin, stdout):
        _exchange(lambda: _send_with_key_updates(stdin, job, payload), stdout, echo)


def _upload(stdin: socket.socket, payload: Payload) -> None:
    for piece in payload:
        stdin.sendall(piece)
    stdin.shutdown(socket.SHUT_WR)


def _send_with_key_updates(stdin: socket.socket, job: Job, payload: Payload) -> None:
    stdin.send(job.head)
    sent = updates = 0
    for piece in payload:
        for start in range(0, len(piece), OPENSSL_MESSAGE):
            stdin.send(piece[start : start + OPENSSL_MESSAGE])
        sent += len(piece)
        if sent // job.rekey_every > updates:
            stdin.send(KEY_UPDATES[updates % 2])
            updates += 1


def _exchange(feed: Callable[[], None], stdout: IO[bytes], echo: Echo) -> None:
    """Feed in a thread, since reading must never wait for it."""

    def feed_while_it_reads() -> None:
        with contextlib.suppress(OSError):  # if it has gone, its output tells
            feed()

    feeder = threading.Thread(target=feed_while_it_reads, daemon=True)
    feeder.start()
    while not echo.done:
        echo.feed(memoryview(os.read(stdout.fileno(), BUFFER)))
    feeder.join(TIMEOUT)


@contextlib.contextmanager
def _started(
    command: Sequence[str], kind: socket.SocketKind
) -> Iterator[tuple[socket.socket, IO[bytes]]]:
    """Run a program that reads from a socket; its end of input is the end of the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, tempfile.TemporaryFile() as errors:
        with theirs:
            program = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.PIPE, stderr=errors, bufsize=0
            )
        with program:
            try:
                yield ours, _present(program.stdout)
                ours.close()
                status = program.wait(TIMEOUT)
            except BaseException as error:
                program.kill()
                raise ProgramError(_complaint(command, error, errors)) from error
        if status:
            raise ProgramError(_complaint(command, f"exit status {status}", errors))


def _present(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "asked for by PIPE"
    return stream


def _complaint(command: Sequence[str], what: object, errors: IO[bytes]) -> str:
    errors.seek(0)
    said = " ".join(errors.read().decode(errors="replace").split())
    return f"{command[0]}: {what}" + (f" ({said})" if said else "")
