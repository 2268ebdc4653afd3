"""``ktls-fast stat``."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ktls_fast import tls_stat

if TYPE_CHECKING:
    from . import Parser

__all__ = ["add_parser"]

DESCRIPTION = """\
Print the counters in the format of /proc/net/tls_stat. They count what this process has done, so
this shows which there are, all of them 0; a running proxy prints its own on SIGUSR1, and a program
gets them by ktls_fast.tls_stat().
"""


def add_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "stat", help="print the counters of this process", description=DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    parser.set_defaults(command=_run, extra="cli")


def _run(parsed: argparse.Namespace) -> int:
    sys.stdout.write(f"{json.dumps(tls_stat())}\n" if parsed.json else tls_stat(format="proc"))
    return 0
