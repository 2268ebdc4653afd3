"""The ``ktls-fast`` command."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from typing import NoReturn

import ktls_fast
from ktls_fast._tools.failure import CommandError, missing_package, reason

from . import demo, doctor, proxy, simulate, stat
from .streams import check_output, finish_output, prepare_streams, print_error

__all__ = ["main"]

PROGRAM = "ktls-fast"
FAILED = 1
MISUSED = 2
INTERRUPTED = 130


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and exit with status 2."""
        self.exit(MISUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status.

    :param arguments: the command line without the program; default: that of this process.
    """
    prepare_streams()
    parser = _parser()
    debug = False
    try:
        parsed = _parse(parser, arguments)
        debug = parsed.debug
        if getattr(parsed, "prints", True):
            check_output()
        status = _run(parsed)
        finish_output()
    except (CommandError, OSError) as error:
        if debug:
            raise
        return _fail(reason(error) if isinstance(error, OSError) else str(error), FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    return status


def _run(parsed: argparse.Namespace) -> int:
    """Run the chosen command and return the exit status.

    :raises CommandError: the command failed, or needs a package that is not installed.
    """
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except ImportError as error:
        raise missing_package(error, parsed.name, parsed.extra) from error


def _fail(text: str, status: int) -> int:
    """Write the output so far and the reason of the failure; return ``status``."""
    with contextlib.suppress(OSError):
        finish_output()
    print_error(f"{PROGRAM}: {text}")
    return status


def _parse(parser: CommandParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; flush the output before ``--help`` or an error exits."""
    try:
        return parser.parse_args(arguments)
    except SystemExit:
        finish_output()
        raise


def _parser() -> CommandParser:
    parser = CommandParser(
        prog=PROGRAM,
        description="TLS 1.3 with key updates, on a user-space implementation of kernel TLS.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {ktls_fast.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="name", required=True
    )
    for module in (proxy, demo, simulate, stat, doctor):
        module.add_parser(commands)
    return parser
