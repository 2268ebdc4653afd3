"""One end of a transfer, as a process: its plan is the argument, its cost the last line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benches.sockets import blocking, loops
from benches.sockets.plan import Plan

WAYS = {**blocking.WAYS, **loops.WAYS}


def main() -> None:
    """Do what the plan says."""
    plan = Plan(**json.loads(sys.argv[1]))
    cost = WAYS[plan.way](plan)
    print(json.dumps(asdict(cost)), flush=True)


if __name__ == "__main__":
    main()
