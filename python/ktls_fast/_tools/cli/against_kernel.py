"""The command ``ktls-fast doctor --against-kernel``."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from ktls_fast._kernel_tls import kernel_tls
from ktls_fast._tools.conformance.compare import (
    SECONDS,
    CallDifference,
    ScenarioComparison,
    compare,
)
from ktls_fast._tools.conformance.sides import ComparedSide, engine, kernel
from ktls_fast._tools.conformance.steps import CallResult, Step, scenarios
from ktls_fast._tools.failure import CommandError

from .doctor import NO_KERNEL_TLS

__all__ = [
    "NOT_PLAYED",
    "describe_difference",
    "format_call",
    "no_kernel_tls",
    "run",
    "with_progress",
]

MakeSide = Callable[[], ComparedSide]
Item = TypeVar("Item")

NOT_PLAYED: Final = "skipped"


def run(
    only: str, *, as_json: bool, theirs: MakeSide | None = None, seconds: float = SECONDS
) -> int:
    """Play recorded scenarios on the engine and on ``theirs``, and print the differences.

    :param only: a part of the names of the scenarios to play; all if it is empty.
    :param theirs: the side to compare with; default: the kernel of this host, if it has TLS.
    :param seconds: the time limit of a scenario on each side.
    :returns: the exit status: 1 if there is an unknown difference, 77 without kernel TLS.
    """
    chosen = [scenario for scenario in scenarios() if only in scenario["name"]]
    if not chosen:
        msg = f"no scenario has {only!r} in its name; leave --only out to play all of them"
        raise CommandError(msg)
    if theirs is None and (why := no_kernel_tls()):
        print(json.dumps({NOT_PLAYED: why}) if as_json else f"{NOT_PLAYED}: {why}")
        return NO_KERNEL_TLS
    playing = with_progress(chosen, lambda scenario: scenario["name"])
    found = [compare(each, engine, theirs or kernel, seconds) for each in playing]
    print(_as_json(found) if as_json else _as_text(found))
    return 1 if any(each.differences and not each.known for each in found) else 0


def no_kernel_tls() -> str | None:
    """Return why the kernel of this host has no TLS, or None if it has."""
    answer, _, why = kernel_tls()["ulp"].partition(": ")
    return None if answer == "yes" else f'{why}; run "modprobe tls" as root, and try again'


def with_progress(items: Sequence[Item], name: Callable[[Item], str]) -> Iterator[Item]:
    """Yield ``items`` and show a progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=len(items))
        for item in items:
            bar.update(task, description=name(item))
            yield item
            bar.advance(task)


def _as_json(found: list[ScenarioComparison]) -> str:
    return json.dumps(
        {
            "scenarios": len(found),
            "counts": _counts(found),
            "differences": [
                {
                    "scenario": each.scenario,
                    "known": each.known,
                    "number": difference.number,
                    "call": difference.call,
                    "engine": difference.ours,
                    "kernel": difference.theirs,
                }
                for each in found
                for difference in each.differences
            ],
            "not_played": {each.scenario: each.not_played for each in found if each.not_played},
        }
    )


def _as_text(found: list[ScenarioComparison]) -> str:
    return "\n".join([*_lines(found), _summary(found)])


def _lines(found: Iterable[ScenarioComparison]) -> Iterator[str]:
    for each in found:
        if each.not_played:
            yield f"{each.scenario}: not played: {each.not_played}"
        elif each.differences:
            yield f"{each.scenario}: differs" + (f", as known: {each.known}" if each.known else "")
        for difference in each.differences:
            yield from describe_difference(difference)


def describe_difference(difference: CallDifference) -> Iterator[str]:
    """Yield the lines that describe a call and its two results."""
    yield f"  call {difference.number}  {format_call(difference.call)}"
    yield f"    engine  {_format_values(difference.ours)}"
    yield f"    kernel  {_format_values(difference.theirs)}"


def format_call(step: Step) -> str:
    """Return a call with its arguments, without its recorded results."""
    where = f" on {step['on']}" if "on" in step else ""
    arguments = {name: step[name] for name in ARGUMENTS if name in step}
    return f"{step['op']}{where}" + (f", {_format_values(arguments)}" if arguments else "")


def _format_values(values: CallResult) -> str:
    return ", ".join(f"{name} {_format_value(value)}" for name, value in values.items())


def _format_value(value: Any) -> str:  # noqa: ANN401 - any value of a scenario
    plain = isinstance(value, str) and value and value.isprintable()
    return value if plain else json.dumps(value)


def _summary(found: list[ScenarioComparison]) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in _counts(found).items())
    return f"{len(found)} scenario{'s' if len(found) > 1 else ''}: {counts}"


def _counts(found: list[ScenarioComparison]) -> dict[str, int]:
    kinds = [_outcome_kind(each) for each in found]
    return {kind: kinds.count(kind) for kind in KINDS}


def _outcome_kind(each: ScenarioComparison) -> str:
    if each.not_played:
        return "not played"
    if not each.differences:
        return "alike"
    return "differ as known" if each.known else "differ"


KINDS = ("alike", "differ", "differ as known", "not played")
ARGUMENTS = (
    *("level", "opt", "val", "optlen", "len"),
    *("data_in", "n", "iov", "anc", "cmsg_in", "flags", "how", "address", "seconds"),
)
