"""Scenarios of random calls, which should have the same results on two sides.

A program depends only on its random numbers. It contains no results: whether a receive finds data
or a key is correct follows from playing it. Only equality of the two sides is checked.
"""

from random import Random

from .crafted_program import CraftedProgram
from .program import RandomProgram, key_struct
from .steps import Step

__all__ = ["RandomProgram", "key_struct", "random_scenario"]


def random_scenario(
    seed: int, number: int, length: int = 40, kind: "type[RandomProgram] | None" = None
) -> Step:
    """Return program ``number`` of ``seed``, with about ``length`` calls.

    :param kind: the class of the program; default: a random one.
    """
    random = Random(f"{seed}.{number}")
    kind = kind or random.choice((RandomProgram, RandomProgram, CraftedProgram))
    steps = kind(random).steps(length)
    return {"name": f"random.{seed}.{number}", "doc": kind.__doc__, "steps": steps}
