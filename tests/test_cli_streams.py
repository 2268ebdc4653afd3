"""Commands whose standard streams are closed or full, or have no reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "ktls_fast")
PRINTING = ("stat", "doctor", "proxy --help", "simulate --json")

Result = tuple[int, str]


def run(arguments: str, redirections: str, *, unbuffered: bool = False) -> Result:
    """Run a command as a shell does; return its exit status and its standard error."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""}
    script = f'"$@" {redirections}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *COMMAND, *arguments.split()],
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("arguments", PRINTING)
@pytest.mark.parametrize(
    ("redirection", "why"),
    [(">&-", "bad file descriptor"), (">/dev/full", "no space left on device")],
)
def test_unwritable_output_is_reported_in_one_sentence(
    arguments: str, redirection: str, why: str, unbuffered: bool
) -> None:
    expected = f"ktls-fast: cannot write standard output: {why}\n"
    assert run(arguments, redirection, unbuffered=unbuffered) == (1, expected)


@pytest.mark.parametrize("arguments", ["demo --size 100GiB", "simulate --rekeys 1000000000"])
def test_a_long_run_does_not_begin_without_a_working_output(arguments: str) -> None:
    expected = "ktls-fast: cannot write standard output: {}\n"
    assert run(arguments, ">&-") == (1, expected.format("bad file descriptor"))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [*COMMAND, *arguments.split()],
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr.decode()) == (1, expected.format("broken pipe"))


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_closed_output_pipe_is_reported_in_one_sentence(arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [*COMMAND, *arguments.split()], stdout=gone, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"ktls-fast: cannot write standard output: broken pipe\n"


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_a_command_runs_without_the_streams_that_it_does_not_need(
    closed: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("stat", f"{closed} >{out}") == (0, "")
    assert out.read_text().startswith("TlsCurrTxSw")


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_the_exit_status_is_right_without_standard_error(closed: str) -> None:
    assert run("stat --nonsense", closed) == (2, "")
    assert run("proxy --listen :0 --connect 127.0.0.1:1 --log /nowhere/log", closed) == (1, "")


def test_no_file_reuses_the_number_of_a_closed_stream() -> None:
    code = (
        "import os, sys; from ktls_fast._tools.cli import streams; streams.prepare_streams();"
        "first = os.open('/dev/null', os.O_RDONLY); os.write(1, b'') if first > 2 else os._exit(9)"
    )
    for closed in ("<&- 2>&-", "<&- >&- 2>&-"):
        script = f'"$@" {closed}'
        command = ["/bin/sh", "-c", script, "sh", sys.executable, "-c", code]
        assert subprocess.run(command, check=False).returncode in {0, 1}, closed
