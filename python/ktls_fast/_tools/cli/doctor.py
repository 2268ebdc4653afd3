"""The command ``ktls-fast doctor``."""

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
    from . import CommandParser

__all__ = ["add_parser", "examine"]

NO_KERNEL_TLS: Final = 77
"""Exit status of a comparison without kernel TLS; test runners take it as "skipped"."""
MAX_PROGRAMS: Final = 1_000_000

DESCRIPTION = """\
Show what this machine offers: versions, CPU features, the implementation of each cipher, and
whether the kernel has TLS and can rekey, which is tried on a loopback connection.
"""


def add_parser(commands: "argparse._SubParsersAction[CommandParser]") -> None:
    """Add the command ``doctor``."""
    parser = commands.add_parser(
        "doctor", help="show what this machine offers", description=DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.add_argument(
        "--against-kernel",
        action="store_true",
        help="play recorded scenarios on the engine and on the kernel, and show the differences;"
        " the exit status is 1 if there is one that docs/kernel-differences.md does not list,"
        f" and {NO_KERNEL_TLS} if the kernel has no TLS",
    )
    parser.add_argument(
        "--only",
        metavar="NAME_PART",
        help="with --against-kernel: play only scenarios whose names contain this, e.g. ku.",
    )
    parser.add_argument(
        "--random",
        type=_program_count,
        metavar="N",
        help="with --against-kernel: play N programs of random calls instead of the scenarios;"
        " programs that differ are shrunk and printed as scenarios",
    )
    parser.add_argument(
        "--seed",
        type=_whole_number,
        metavar="S",
        help="with --random: the seed of the programs (default: random; the summary shows it)",
    )
    parser.set_defaults(command=lambda parsed: _run(parsed, parser), extra="cli")


def examine() -> dict[str, object]:
    """Return the facts about this machine, as values for JSON."""
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


def _run(parsed: "argparse.Namespace", parser: "CommandParser") -> int:
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
        print(f"{name:<14}{_format_fact(value)}")
    return 0


def _check_options(parsed: "argparse.Namespace", parser: "CommandParser") -> None:
    for name in ("only", "random"):
        value = getattr(parsed, name)
        if value is not None and not parsed.against_kernel:
            parser.error(f"--{name} {value} requires --against-kernel")
    if parsed.seed is not None and parsed.random is None:
        parser.error(f"--seed {parsed.seed} requires --random")
    if parsed.only is not None and parsed.random is not None:
        parser.error(f"--only {parsed.only} cannot be used with --random")


def _program_count(text: str) -> int:
    """Parse a number of programs."""
    count = _whole_number(text)
    if not 0 < count <= MAX_PROGRAMS:
        msg = f"{quoted(text)} is not from 1 to {MAX_PROGRAMS}"
        raise argparse.ArgumentTypeError(msg)
    return count


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"{quoted(text)} is not a whole number"
        raise argparse.ArgumentTypeError(msg) from None


def _format_fact(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
