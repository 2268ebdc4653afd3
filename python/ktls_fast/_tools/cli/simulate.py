"""``ktls-fast simulate``."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ktls_fast._tools.failure import Failure, missing
from ktls_fast._tools.files import write_private
from ktls_fast._tools.simulate import Report, Scenario, run

from .values import at_least_one, file, natural, part, size

if TYPE_CHECKING:
    import argparse

    from . import Parser

__all__ = ["add_parser"]

DESCRIPTION = """\
Play key updates between two hosts whose network devices seal and open the records, over a link
that loses packets, in virtual time: the same options always give the same run. Every byte on the
wire is checked. The exit status is 1 if the stream broke, as it does with --policy naive, and 3 if
the run took too long and was given up.
"""
EXAMPLE = "example: ktls-fast simulate --rekeys 20 --loss 2% --seed 7 --plot out.svg"

# Option, type, attribute of the scenario, help.
OPTIONS = (
    ("--rekeys", natural, "rekeys", "key updates of each sender"),
    ("--messages", natural, "messages", "messages between two key updates"),
    ("--message-size", size, "message_len", "bytes of a message, at most"),
    ("--seed", natural, "seed", "of every random choice"),
    ("--loss", part, "loss", "part of the packets that vanish, e.g. 2%%"),
    ("--reorder", part, "reorder", "part that is overtaken"),
    ("--duplicate", part, "duplicate", "part that arrives twice"),
    ("--delay", at_least_one, "delay", "microseconds one way"),
    ("--read-lag", at_least_one, "read_lag", "microseconds until a reader reads, at most"),
    ("--slots", natural, "slots", "key slots of a device"),
    ("--depth", at_least_one, "depth", "places of its rings"),
    ("--fail-add", part, "fail_add", "part of the keys that a device refuses"),
    ("--fail-nth-add", at_least_one, "fail_nth_add", "refuse this one, counted from 1"),
    (
        "--down-at",
        natural,
        "down_at",
        "microsecond at which the first device's interface goes down",
    ),
    ("--close-at", natural, "close_at", "microsecond at which the first host closes"),
)
DEFAULTS = Scenario(messages=30)
GIVEN_UP = 3


def add_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "simulate",
        help="play key updates under offload",
        description=DESCRIPTION,
        epilog=EXAMPLE,
    )
    for option, kind, name, text in OPTIONS:
        default = getattr(DEFAULTS, name)
        said = "" if default is None else "; default: %(default)s"
        parser.add_argument(
            option, type=kind, dest=name, default=default, metavar="N", help=text + said
        )
    parser.add_argument(
        "--policy",
        choices=("cover-letter", "v17", "naive"),
        default="cover-letter",
        help="when a device gets the next key; default: %(default)s; naive is wrong",
    )
    parser.add_argument("--both-ways", action="store_true", help="the second host sends as well")
    parser.add_argument(
        "--plot", type=file, metavar="FILE", help="draw the timeline (svg, png, pdf)"
    )
    parser.add_argument(
        "--pcap", type=file, metavar="FILE", help="write the wire, and FILE.keylog to decrypt it"
    )
    parser.add_argument(
        "--trace", type=file, metavar="FILE", help="write a line for each call of the devices"
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(command=_run, extra="cli")


def _run(parsed: "argparse.Namespace") -> int:
    _check_folders(parsed)
    if parsed.plot:
        _drawing()
    if not parsed.json:
        from ktls_fast._tools.simulate.show import show
    names = [field.name for field in dataclasses.fields(Scenario)]
    said = {name: getattr(parsed, name) for name in names if name in parsed}
    scenario = Scenario(**said)
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
        return GIVEN_UP
    return 1 if report.violation else 0


def _check_folders(parsed: "argparse.Namespace") -> None:
    """Before the run rather than after it."""
    for option in ("plot", "pcap", "trace"):
        path: Path | None = getattr(parsed, option)
        if path and not path.absolute().parent.is_dir():
            msg = f"--{option} {path}: there is no folder {path.parent}"
            raise Failure(msg)


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


def _drawing() -> Callable[[Scenario, Report, Path], None]:
    """What draws the timeline.

    :raises Failure: matplotlib is not installed.
    """
    try:
        from ktls_fast._tools.simulate.plot import draw
    except ImportError as error:
        raise missing(error, "--plot", "plot") from error
    return draw


def _plot(scenario: Scenario, report: Report, path: Path) -> None:
    draw = _drawing()
    try:
        draw(scenario, report, path)
    except ValueError as error:
        msg = f"--plot {path}: {error}"
        raise Failure(msg) from error
