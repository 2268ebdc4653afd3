"""The command ``ktls-fast doctor --against-kernel --random N``."""

import json
from collections.abc import Iterator
from typing import Any

from ktls_fast._tools.conformance.compare import SECONDS, MakeSide, ScenarioComparison, compare
from ktls_fast._tools.conformance.random_program import random_scenario
from ktls_fast._tools.conformance.shrink import shrink
from ktls_fast._tools.conformance.sides import engine, kernel
from ktls_fast._tools.conformance.steps import Step

from .against_kernel import (
    NOT_PLAYED,
    describe_difference,
    format_call,
    no_kernel_tls,
    with_progress,
)
from .doctor import NO_KERNEL_TLS

__all__ = ["run"]

MAX_FOUND = 5
"""The run ends after this many programs that differ: most have the same cause."""


def run(
    count: int, seed: int, *, as_json: bool, theirs: MakeSide | None = None, ours: MakeSide = engine
) -> int:
    """Play random programs on both sides; shrink and print those whose results differ.

    :param count: the number of programs.
    :param seed: the seed of the programs.
    :param theirs: the side to compare with; default: the kernel of this host, if it has TLS.
    :param ours: the side to test; default: the engine.
    :returns: the exit status: 1 if a program differs, 77 without kernel TLS.
    """
    if theirs is None and (why := no_kernel_tls()):
        print(json.dumps({NOT_PLAYED: why}) if as_json else f"{NOT_PLAYED}: {why}")
        return NO_KERNEL_TLS
    sides = (ours, theirs or kernel)
    played, found = 0, []
    for number in with_progress(range(count), lambda number: f"program {number}"):
        played += 1
        scenario = random_scenario(seed, number)
        if _compare(scenario, sides).differences:
            found.append(_shrink_difference(scenario, sides))
            if len(found) == MAX_FOUND:
                break
    print(_as_json(seed, played, found) if as_json else _as_text(seed, played, found))
    return 1 if found else 0


def _compare(scenario: Step, sides: tuple[MakeSide, MakeSide]) -> ScenarioComparison:
    return compare(scenario, *sides, SECONDS)


def _shrink_difference(
    scenario: Step, sides: tuple[MakeSide, MakeSide]
) -> tuple[Step, ScenarioComparison]:
    """Shrink a program that differs, and cut it after the first call that differs.

    The results of that call become those of the other side.
    """

    def differs(smaller: Step) -> bool:
        return bool(_compare(smaller, sides).differences)

    small = shrink(scenario, differs)
    compared = _compare(small, sides)
    if not compared.differences:  # it differs only sometimes: return the program as it was found
        return scenario, compared
    steps = small["steps"][: compared.differences[0].number]
    steps[-1] = {**steps[-1], **compared.differences[0].theirs}
    return {**small, "steps": steps}, compared


def _as_json(seed: int, played: int, found: list[tuple[Step, ScenarioComparison]]) -> str:
    differences = [_difference(scenario, compared) for scenario, compared in found]
    return json.dumps({"seed": seed, "programs": played, "differences": differences})


def _difference(scenario: Step, compared: ScenarioComparison) -> dict[str, Any]:
    first = compared.differences[0] if compared.differences else None
    return {
        "scenario": scenario,
        "number": first and first.number,
        "engine": first and first.ours,
        "kernel": first and first.theirs,
    }


def _as_text(seed: int, played: int, found: list[tuple[Step, ScenarioComparison]]) -> str:
    summary = f"{played} programs of seed {seed}: {len(found)} differ"
    return "\n".join([*_lines(found), summary])


def _lines(found: list[tuple[Step, ScenarioComparison]]) -> Iterator[str]:
    for scenario, compared in found:
        yield f"{scenario['name']}: differs" + ("" if compared.differences else ", but not always")
        for number, step in enumerate(scenario["steps"], 1):
            yield f"  call {number}  {format_call(step)}"
        for difference in compared.differences[:1]:
            yield from describe_difference(difference)
        yield f"  scenario  {json.dumps(scenario)}"
