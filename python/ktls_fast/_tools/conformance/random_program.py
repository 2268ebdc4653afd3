"""Random programs: scenarios made up by chance, for two sides that should give the same results.

A program depends on its random numbers alone. It knows no results: whether a receive finds
something or a key fits is for the sides to say, and what matters is that they say the same.
"""

from random import Random

from .crafted_program import CraftedProgram
from .program import Program, key_struct
from .steps import Step

__all__ = ["Program", "key_struct", "random_scenario"]


def random_scenario(
    seed: int, number: int, length: int = 40, kind: "type[Program] | None" = None
) -> Step:
    """Program ``number`` of ``seed``, with about so many calls; of one kind, or of any."""
    random = Random(f"{seed}.{number}")
    kind = kind or random.choice((Program, Program, CraftedProgram))
    steps = kind(random).steps(length)
    return {"name": f"random.{seed}.{number}", "doc": kind.__doc__, "steps": steps}
