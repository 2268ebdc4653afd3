"""The ``ktls-fast`` command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import ktls_fast
from ktls_fast.proxy.failure import Failure, reason

from . import demo, doctor, proxy, simulate, stat

__all__ = ["main"]

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong, and where to read more."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(MISUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except (Failure, OSError) as error:
        if parsed.debug:
            raise
        text = reason(error) if isinstance(error, OSError) else str(error)
        print(f"{parser.prog}: {text}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> Parser:
    parser = Parser(
        prog="ktls-fast",
        description="TLS 1.3 with key updates, by the record layer of kernel TLS in user space.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {ktls_fast.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (proxy, demo, simulate, stat, doctor):
        module.add_parser(commands)
    return parser
