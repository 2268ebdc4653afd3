"""The command ``ktls-fast stat``."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ktls_fast import tls_stat

if TYPE_CHECKING:
    from . import CommandParser

__all__ = ["add_parser"]

DESCRIPTION = """\
Print the counters in the format of /proc/net/tls_stat. The counters are per process, so this
command shows their names, and all values are 0. A running proxy prints its counters on SIGUSR1; a
program reads them by ktls_fast.tls_stat().
"""


def add_parser(commands: "argparse._SubParsersAction[CommandParser]") -> None:
    """Add the command ``stat``."""
    parser = commands.add_parser(
        "stat", help="print the names of the counters", description=DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="print the counters as a JSON object")
    parser.set_defaults(command=_run, extra="cli")


def _run(parsed: argparse.Namespace) -> int:
    sys.stdout.write(f"{json.dumps(tls_stat())}\n" if parsed.json else tls_stat(format="proc"))
    return 0
