"""The tests of the interpreter that are run against each front door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BY_NAME: Final = ("ssl", "tls")


@dataclass(frozen=True, slots=True)
class SelectedTests:
    """A module of tests, or a part of it."""

    door: str
    module: str
    parts: tuple[str, ...] = ()
    """Only tests with one of these in their names are run; all of them if it is empty."""
    through_engine: int = 0
    """How many of the tests have to use the engine at least."""

    @property
    def name(self) -> str:
        """The front door and the last part of the module's name."""
        return f"{self.door}-{self.module.removeprefix('test.')}"


SELECTED: Final = (
    SelectedTests("ssl", "test.test_ssl"),
    *(
        row
        for door in ("ssl", "asyncio")
        for row in (
            SelectedTests(door, "test.test_asyncio.test_ssl"),
            SelectedTests(door, "test.test_asyncio.test_sslproto"),
            SelectedTests(door, "test.test_asyncio.test_streams", BY_NAME),
            SelectedTests(door, "test.test_asyncio.test_events", BY_NAME),
            SelectedTests(door, "test.test_asyncio.test_sendfile", BY_NAME),
            SelectedTests(door, "test.test_asyncio.test_buffered_proto"),
        )
    ),
)
