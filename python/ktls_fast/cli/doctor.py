"""``ktls-fast doctor``."""

import json
import platform
import resource
from typing import TYPE_CHECKING

import ktls_fast
from ktls_fast.kernel_tls import kernel_tls

if TYPE_CHECKING:
    import argparse

    from . import Parser

__all__ = ["add_parser", "examine"]

DESCRIPTION = """\
Tell what this machine offers: versions, the CPU's help, which implementation seals each cipher,
and whether the kernel has TLS of its own and can rekey it (found out by trying on a loopback
connection).
"""


def add_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="tell what this machine offers", description=DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    parser.add_argument(
        "--against-kernel",
        action="store_true",
        help="play recorded scenarios on the engine and on the kernel, and tell what differs;"
        " the exit status is 1 if something does that docs/kernel-differences.md does not name",
    )
    parser.add_argument(
        "--only",
        metavar="NAME_PART",
        help="with --against-kernel: the scenarios with this in their names, e.g. ku.",
    )
    parser.set_defaults(command=lambda parsed: _run(parsed, parser))


def examine() -> dict[str, object]:
    """Everything there is to know, ready for JSON."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "ktls_fast": ktls_fast.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_features": ktls_fast.cpu_features(),
        "aead": ktls_fast.aead_in_use(),
        "kernel_tls": kernel_tls(),
        "file_limit": None if soft == resource.RLIM_INFINITY else soft,
    }


def _run(parsed: "argparse.Namespace", parser: "Parser") -> int:
    if parsed.against_kernel:
        from .against_kernel import run

        return run(parsed.only or "", as_json=parsed.json)
    if parsed.only is not None:
        parser.error(f"--only {parsed.only} needs --against-kernel")
    found = examine()
    if parsed.json:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        print(f"{name:<14}{_plain(value)}")
    return 0


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
