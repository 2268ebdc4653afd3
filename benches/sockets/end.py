"""One end of a transfer in its own process.

Its argument is the plan as JSON. The last line of its output is the cost as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benches.sockets import blocking, loops
from benches.sockets.plan import TransferPlan

WAYS = {**blocking.WAYS, **loops.WAYS}


def main() -> None:
    """Run the end of a transfer that the plan describes."""
    plan = TransferPlan(**json.loads(sys.argv[1]))
    cost = WAYS[plan.way](plan)
    print(json.dumps(asdict(cost)), flush=True)


if __name__ == "__main__":
    main()
