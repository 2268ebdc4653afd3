"""``ktls-fast demo``."""

from typing import TYPE_CHECKING

from .values import at_least_one, size

if TYPE_CHECKING:
    import argparse

    from . import Parser

__all__ = ["add_parser"]

DESCRIPTION = """\
Run a proxy on loopback, send data through it to an upstream that echoes it, by clients that are
not ours (Python's ssl module; curl and openssl where installed), change keys in both directions
meanwhile, and compare every byte. The exit status is 0 only if all of them matched.
"""


def add_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo", help="move data through a proxy and check it", description=DESCRIPTION
    )
    parser.add_argument(
        "--size",
        type=size,
        default=size("512MiB"),
        metavar="BYTES",
        help="to send in all, and to get back; default: 512MiB",
    )
    parser.add_argument(
        "--connections",
        type=at_least_one,
        default=4,
        metavar="N",
        help="at the same time; default: %(default)s",
    )
    parser.add_argument(
        "--device",
        choices=("queue",),
        help="leave the proxy out: KtlsSockets over an offload queue, new keys every MiB",
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(command=_run, extra="demo")


def _run(parsed: "argparse.Namespace") -> int:
    if parsed.device:
        from ktls_fast._tools.demo.over_queue import run
    else:
        from ktls_fast._tools.demo import run
    return run(parsed.size, parsed.connections, as_json=parsed.json)
