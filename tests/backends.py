"""What the tests of the choice of a backend share; the fixture ``host`` is in ``conftest.py``."""

import socket
from collections.abc import Callable
from typing import Any, cast

from ktls_fast import ktls_socket

Make = Callable[..., Any]
SetHost = Callable[[bool], None]


def over(sock: socket.socket, **options: object) -> Any:  # noqa: ANN401 - either class
    return cast("Make", ktls_socket)(sock, **options)


def still_works(pair: tuple[socket.socket, socket.socket]) -> bool:
    """Check that a refused socket has not been detached."""
    near, far = pair
    near.sendall(b"data")
    return far.recv(9) == b"data"
