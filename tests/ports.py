"""Unused ports, for programs that cannot choose one themselves."""

import os
import random
import socket

import pytest

FIRST, EACH = 20_000, 500
"""Ports below Linux's ephemeral ports, and their number for each worker of xdist."""


def free_port() -> int:
    """Return an unused port of 127.0.0.1 that no other test gets at the same time."""
    first = FIRST + EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(range(first, first + EACH), EACH):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    pytest.fail(f"ports {first} to {first + EACH} are all in use")
