"""``ktls-fast doctor``."""

import argparse
import json
import platform
import resource
import secrets
from typing import TYPE_CHECKING, Final

import ktls_fast
from ktls_fast._kernel_tls import kernel_tls
from ktls_fast._messages import quoted

if TYPE_CHECKING:
    from . import Parser

__all__ = ["add_parser", "examine"]

NO_KERNEL_TLS: Final = 77
"""The exit status of a comparison without a kernel; test runners take it for "skipped"."""
MOST_PROGRAMS: Final = 1_000_000

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
        " the exit status is 1 if something does that docs/kernel-differences.md does not name,"
        f" and {NO_KERNEL_TLS} if this host's kernel has no TLS to compare with",
    )
    parser.add_argument(
        "--only",
        metavar="NAME_PART",
        help="with --against-kernel: the scenarios with this in their names, e.g. ku.",
    )
    parser.add_argument(
        "--random",
        type=_count,
        metavar="N",
        help="with --against-kernel: N programs of random calls in place of the scenarios; one that"
        " differs is made small and printed as a scenario",
    )
    parser.add_argument(
        "--seed",
        type=_whole_number,
        metavar="S",
        help="with --random: which programs (default: others each time; the summary tells)",
    )
    parser.set_defaults(command=lambda parsed: _run(parsed, parser), extra="cli")


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
    _check_options(parsed, parser)
    if parsed.random is not None:
        from .against_kernel_random import run as run_random

        seed = secrets.randbelow(1 << 32) if parsed.seed is None else parsed.seed
        return run_random(parsed.random, seed, as_json=parsed.json)
    if parsed.against_kernel:
        from .against_kernel import run

        return run(parsed.only or "", as_json=parsed.json)
    found = examine()
    if parsed.json:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        print(f"{name:<14}{_plain(value)}")
    return 0


def _check_options(parsed: "argparse.Namespace", parser: "Parser") -> None:
    for name in ("only", "random"):
        value = getattr(parsed, name)
        if value is not None and not parsed.against_kernel:
            parser.error(f"--{name} {value} needs --against-kernel")
    if parsed.seed is not None and parsed.random is None:
        parser.error(f"--seed {parsed.seed} needs --random")
    if parsed.only is not None and parsed.random is not None:
        parser.error(f"--only {parsed.only} chooses recorded scenarios; leave it out with --random")


def _count(text: str) -> int:
    """A number of programs."""
    count = _whole_number(text)
    if not 0 < count <= MOST_PROGRAMS:
        msg = f"{quoted(text)} is not from 1 to {MOST_PROGRAMS}"
        raise argparse.ArgumentTypeError(msg)
    return count


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"{quoted(text)} is not a whole number"
        raise argparse.ArgumentTypeError(msg) from None


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
