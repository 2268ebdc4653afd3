"""The command ``ktls-fast simulate``."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ktls_fast._tools.failure import CommandError, missing_package
from ktls_fast._tools.files import write_private
from ktls_fast._tools.simulate import Report, Scenario, run

from .values import at_least_one, file_path, fraction, natural, size

if TYPE_CHECKING:
    import argparse

    from . import CommandParser

__all__ = ["add_parser"]

DESCRIPTION = """\
Simulate key updates between two hosts whose network devices seal and open the records, over a link
that loses packets. Time is virtual, so the same options always produce the same run. Every byte on
the wire is checked. The exit status is 1 if the stream is corrupted, as with --policy naive, and 3
if the run took too long and was aborted.
"""
EXAMPLE = "example: ktls-fast simulate --rekeys 20 --loss 2% --seed 7 --plot out.svg"

# Option, type, attribute of the scenario, help.
OPTIONS = (
    ("--rekeys", natural, "rekeys", "number of key updates of each sender"),
    ("--messages", natural, "messages", "number of messages between two key updates"),
    ("--message-size", size, "message_len", "maximum size of a message in bytes"),
    ("--seed", natural, "seed", "seed of the random choices"),
    ("--loss", fraction, "loss", "fraction of packets lost, e.g. 2%%"),
    ("--reorder", fraction, "reorder", "fraction of packets overtaken by others"),
    ("--duplicate", fraction, "duplicate", "fraction of packets that arrive twice"),
    ("--delay", at_least_one, "delay", "delay of the link in one direction, in microseconds"),
    ("--read-lag", at_least_one, "read_lag", "maximum delay of a reader, in microseconds"),
    ("--slots", natural, "slots", "number of key slots of a device"),
    ("--depth", at_least_one, "depth", "number of entries of a device's rings"),
    ("--fail-add", fraction, "fail_add", "fraction of keys that a device refuses"),
    (
        "--fail-nth-add",
        at_least_one,
        "fail_nth_add",
        "number of a further key, counted from 1, that a device refuses",
    ),
    (
        "--down-at",
        natural,
        "down_at",
        "time at which the interface of the first host goes down, in microseconds",
    ),
    (
        "--close-at",
        natural,
        "close_at",
        "time at which the first host closes the connection, in microseconds",
    ),
)
DEFAULTS = Scenario(messages=30)
ABORTED = 3


def add_parser(commands: "argparse._SubParsersAction[CommandParser]") -> None:
    """Add the command ``simulate``."""
    parser = commands.add_parser(
        "simulate",
        help="simulate key updates under offload",
        description=DESCRIPTION,
        epilog=EXAMPLE,
    )
    for option, kind, name, text in OPTIONS:
        default = getattr(DEFAULTS, name)
        note = "" if default is None else " (default: %(default)s)"
        parser.add_argument(
            option, type=kind, dest=name, default=default, metavar="N", help=text + note
        )
    parser.add_argument(
        "--policy",
        choices=("cover-letter", "v17", "naive"),
        default="cover-letter",
        help="when to install the next key in the device; naive is wrong (default: %(default)s)",
    )
    parser.add_argument("--both-ways", action="store_true", help="let the second host send, too")
    parser.add_argument(
        "--plot", type=file_path, metavar="FILE", help="draw the timeline (svg, png or pdf)"
    )
    parser.add_argument(
        "--pcap",
        type=file_path,
        metavar="FILE",
        help="write the packets, and their keys to FILE.keylog",
    )
    parser.add_argument(
        "--trace", type=file_path, metavar="FILE", help="write a line for each call of a device"
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(command=_run, extra="cli")


def _run(parsed: "argparse.Namespace") -> int:
    _check_directories(parsed)
    if parsed.plot:
        _import_draw()
    if not parsed.json:
        from ktls_fast._tools.simulate.show import show
    names = [field.name for field in dataclasses.fields(Scenario)]
    given = {name: getattr(parsed, name) for name in names if name in parsed}
    scenario = Scenario(**given)
    report = run(scenario)
    written = _write(parsed, scenario, report)
    if parsed.json:
        facts = {"scenario": dataclasses.asdict(scenario), "violation": report.violation}
        print(json.dumps({**facts, **report.summary, "written": [str(path) for path in written]}))
    else:
        show(report)
        for path in written:
            print(f"written: {path}")
    if report.summary["cut_off_after"]:
        return ABORTED
    return 1 if report.violation else 0


def _check_directories(parsed: "argparse.Namespace") -> None:
    """Raise an error before the run if an output file cannot be created after it."""
    for option in ("plot", "pcap", "trace"):
        path: Path | None = getattr(parsed, option)
        if path and not path.absolute().parent.is_dir():
            msg = f"--{option} {path}: there is no directory {path.parent}"
            raise CommandError(msg)


def _write(parsed: "argparse.Namespace", scenario: Scenario, report: Report) -> list[Path]:
    written: list[Path] = []
    if parsed.plot:
        _plot(scenario, report, parsed.plot)
        written.append(parsed.plot)
    if parsed.pcap:
        keylog = parsed.pcap.with_name(parsed.pcap.name + ".keylog")
        parsed.pcap.write_bytes(report.pcap)
        write_private(keylog, report.keylog)
        written += [parsed.pcap, keylog]
    if parsed.trace:
        parsed.trace.write_text("".join(f"{line}\n" for line in report.trace))
        written.append(parsed.trace)
    return written


def _import_draw() -> Callable[[Scenario, Report, Path], None]:
    """Return the function that draws the timeline.

    :raises CommandError: matplotlib is not installed.
    """
    try:
        from ktls_fast._tools.simulate.plot import draw
    except ImportError as error:
        raise missing_package(error, "--plot", "plot") from error
    return draw


def _plot(scenario: Scenario, report: Report, path: Path) -> None:
    draw = _import_draw()
    try:
        draw(scenario, report, path)
    except ValueError as error:
        msg = f"--plot {path}: {error}"
        raise CommandError(msg) from error
