"""Clients that are external programs: curl and ``openssl s_client``."""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Final

from .job import HOST, TransferJob
from .payload import EchoReceiver, RandomPayload

__all__ = ["OPENSSL_COMMANDS", "ProgramError", "run_curl", "run_openssl"]

BUFFER = 256 * 2**10
TIMEOUT = 60.0

OPENSSL_MESSAGE = 8192
"""Number of bytes that ``s_client`` reads at a time."""

OPENSSL_COMMANDS: Final = b"QRCkKB"
"""Letters that ``s_client`` takes as commands if one starts the data it reads."""

KEY_UPDATES = (b"k", b"K")
"""The commands to send a KeyUpdate without and with a request for one in return."""


class ProgramError(Exception):
    """A program failed; the text contains its own error messages."""


def run_curl(job: TransferJob, payload: RandomPayload, echo: EchoReceiver) -> None:
    """Upload from a socket and download to a pipe at the same time, by curl."""
    command = (
        *("curl", "--silent", "--show-error", "--fail", "--http1.1", "--no-buffer"),
        *("--noproxy", "*", "--cacert", job.ca_file),
        *("--resolve", f"{job.server_name}:{job.port}:{HOST}"),
        # The length is known: do not use chunks, and do not wait for "100 Continue".
        *("-H", "Transfer-Encoding:", "-H", f"Content-Length: {job.size}", "-H", "Expect:"),
        *("--upload-file", "-", f"https://{job.server_name}:{job.port}/{job.number}"),
    )
    with _running_program(command, socket.SOCK_STREAM) as (stdin, stdout):
        _exchange(lambda: _upload(stdin, payload), stdout, echo)


def run_openssl(job: TransferJob, payload: RandomPayload, echo: EchoReceiver) -> None:
    """Send data and KeyUpdates by ``openssl s_client``.

    ``s_client`` takes a letter at the start of its input as a command. Its input is a socket that
    preserves message boundaries, so a letter sent alone is a command. The payload contains none of
    these letters.
    """
    command = (
        *("openssl", "s_client", "-quiet", "-no_ign_eof", "-verify_quiet"),
        *("-connect", f"{HOST}:{job.port}", "-servername", job.server_name),
        *("-CAfile", job.ca_file, "-verify_hostname", job.server_name, "-verify_return_error"),
    )
    with _running_program(command, socket.SOCK_SEQPACKET) as (stdin, stdout):
        _exchange(lambda: _send_with_key_updates(stdin, job, payload), stdout, echo)


def _upload(stdin: socket.socket, payload: RandomPayload) -> None:
    for piece in payload:
        stdin.sendall(piece)
    stdin.shutdown(socket.SHUT_WR)


def _send_with_key_updates(stdin: socket.socket, job: TransferJob, payload: RandomPayload) -> None:
    stdin.send(job.head)
    sent = updates = 0
    for piece in payload:
        for start in range(0, len(piece), OPENSSL_MESSAGE):
            stdin.send(piece[start : start + OPENSSL_MESSAGE])
        sent += len(piece)
        if sent // job.rekey_every > updates:
            stdin.send(KEY_UPDATES[updates % 2])
            updates += 1


def _exchange(feed: Callable[[], None], stdout: IO[bytes], echo: EchoReceiver) -> None:
    """Call ``feed`` in a thread, and read from ``stdout`` meanwhile."""

    def feed_while_it_reads() -> None:
        with contextlib.suppress(OSError):  # if the program has ended, its output shows why
            feed()

    feeder = threading.Thread(target=feed_while_it_reads, daemon=True)
    feeder.start()
    while not echo.done:
        echo.feed(memoryview(os.read(stdout.fileno(), BUFFER)))
    feeder.join(TIMEOUT)


@contextlib.contextmanager
def _running_program(
    command: Sequence[str], kind: socket.SocketKind
) -> Iterator[tuple[socket.socket, IO[bytes]]]:
    """Run a program in the block, which yields its input socket and its output.

    The input is closed at the end of the block.

    :raises ProgramError: the program or the block failed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, tempfile.TemporaryFile() as errors:
        with theirs:
            program = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.PIPE, stderr=errors, bufsize=0
            )
        with program:
            try:
                yield ours, _require_stream(program.stdout)
                ours.close()
                status = program.wait(TIMEOUT)
            except BaseException as error:
                program.kill()
                raise ProgramError(_describe_failure(command, error, errors)) from error
        if status:
            raise ProgramError(_describe_failure(command, f"exit status {status}", errors))


def _require_stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "requested by PIPE"
    return stream


def _describe_failure(command: Sequence[str], what: object, errors: IO[bytes]) -> str:
    errors.seek(0)
    printed = " ".join(errors.read().decode(errors="replace").split())
    return f"{command[0]}: {what}" + (f" ({printed})" if printed else "")
