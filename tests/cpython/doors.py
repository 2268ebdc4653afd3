"""The front doors of this package, opened in a process before it imports the tests."""

from __future__ import annotations

import ssl as stdlib_ssl  # noqa: F401
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_count = 0


def connections() -> int:
    """Return the number of connections that the engine has taken over in this process."""
    return _count


def open_door(name: str, *, fault: bool) -> None:
    """Make the modules that are imported from now on use a front door."""
    DOORS[name]()


def _stdlib() -> None:
    """Change nothing."""


DOORS: Final[dict[str, Callable[[], None]]] = {"stdlib": _stdlib}
