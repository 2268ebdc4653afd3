"""Runs an example and prints how many connections the engine took over.

``python -m tests.run_example LOOP EXAMPLE ARGUMENT …``, where LOOP is the event loop of a program
without this package: ``asyncio`` or ``uvloop``. A server is interrupted when its input ends.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.cpython import doors

EXAMPLES = Path(__file__).parents[1] / "examples"
ENGINE = "connections of the engine:"


def main() -> None:
    """Run the example that the arguments name."""
    loop, example, *arguments = sys.argv[1:]
    doors.count_connections()
    if loop == "uvloop":
        _use_uvloop()
    if example.endswith("_server"):
        threading.Thread(target=_interrupt_at_end_of_input, daemon=True).start()
    sys.argv = [example, *arguments]
    try:
        runpy.run_path(str(EXAMPLES / f"{example}.py"), run_name="__main__")
    except KeyboardInterrupt:
        pass
    finally:
        print(ENGINE, doors.connections(), file=sys.stderr)


def _use_uvloop() -> None:
    """Make uvloop the default, and the native loop one of uvloop."""
    policy: Any = import_module("uvloop").EventLoopPolicy()
    asyncio.set_event_loop_policy(policy)  # type: ignore[deprecated]
    module: Any = import_module("ktls_fast.asyncio")
    module.new_event_loop = module.new_uvloop


def _interrupt_at_end_of_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
