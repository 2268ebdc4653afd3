"""The command ``ktls-fast demo``."""

from typing import TYPE_CHECKING

from .values import at_least_one, size

if TYPE_CHECKING:
    import argparse

    from . import CommandParser

__all__ = ["add_parser"]

DESCRIPTION = """\
Run a proxy on the loopback interface, send data through it to an upstream server that echoes it,
and compare every byte. The clients are independent TLS implementations: Python's ssl module, and
curl and openssl if they are installed. Keys are updated in both directions meanwhile. The exit
status is 0 if all data matched, and 1 otherwise.
"""


def add_parser(commands: "argparse._SubParsersAction[CommandParser]") -> None:
    """Add the command ``demo``."""
    parser = commands.add_parser(
        "demo", help="send data through a proxy and check it", description=DESCRIPTION
    )
    parser.add_argument(
        "--size",
        type=size,
        default=size("512MiB"),
        metavar="BYTES",
        help="amount of data to send and to receive in total (default: 512MiB)",
    )
    parser.add_argument(
        "--connections",
        type=at_least_one,
        default=4,
        metavar="N",
        help="number of simultaneous connections (default: %(default)s)",
    )
    parser.add_argument(
        "--device",
        choices=("queue",),
        help="use no proxy, but KtlsSockets on an offload queue that update their keys every MiB",
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(command=_run, extra="demo")


def _run(parsed: "argparse.Namespace") -> int:
    if parsed.device:
        from ktls_fast._tools.demo.over_queue import run
    else:
        from ktls_fast._tools.demo import run
    return run(parsed.size, parsed.connections, as_json=parsed.json)
