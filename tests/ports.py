"""Ports that nobody listens on, for tools that cannot choose one themselves."""

import os
import random
import socket

import pytest

FIRST, EACH = 20_000, 500
"""Below the ports that Linux gives to those who choose none; some for each worker of xdist."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test is given meanwhile."""
    first = FIRST + EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(range(first, first + EACH), EACH):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    pytest.fail(f"ports {first} to {first + EACH} are all in use")
