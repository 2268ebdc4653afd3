"""Reduction of a scenario whose results differ."""

from collections.abc import Callable

from .steps import Step

__all__ = ["MAX_TRIES", "shrink"]

MAX_TRIES = 200
"""Maximum number of smaller scenarios that are played."""


def shrink(scenario: Step, differs: Callable[[Step], bool], tries: int = MAX_TRIES) -> Step:
    """Remove steps while ``differs`` returns True, and return the shortest scenario found.

    At first many steps are removed at a time, later fewer. The set-up is kept.
    """
    begin = [step for step in scenario["steps"] if step.get("setup")]
    steps = scenario["steps"][len(begin) :]
    size = max(1, len(steps) // 2)
    while True:
        start, smaller = 0, False
        while start < len(steps):
            shorter = [*steps[:start], *steps[start + size :]]
            if tries == 0:
                return {**scenario, "steps": begin + steps}
            tries -= 1
            if differs({**scenario, "steps": begin + shorter}):
                steps, smaller = shorter, True
            else:
                start += size
        if size == 1 and not smaller:
            return {**scenario, "steps": begin + steps}
        size = max(1, size // 2)
