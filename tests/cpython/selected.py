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
    quick_parts: tuple[str, ...] | None = None
    """The parts outside of CI, if they are fewer; nothing is run if it is empty."""
    through_engine: int = 0
    """How many of the tests have to use the engine at least, in CI."""

    @property
    def name(self) -> str:
        """The front door and the last part of the module's name."""
        return f"{self.door}-{self.module.removeprefix('test.')}"


SELECTED: Final = (
    SelectedTests(
        "ssl",
        "test.test_ssl",
        quick_parts=(
            "SSLObjectTests",
            "SimpleBackgroundTests",
            "TestPreHandshakeClose",
            "ThreadedTests.test_nonblocking",
            "ThreadedTests.test_re",
            "ThreadedTests.test_s",
        ),
        through_engine=50,
    ),
    SelectedTests("ssl", "test.test_asyncio.test_ssl", quick_parts=(), through_engine=12),
    SelectedTests("ssl", "test.test_asyncio.test_sslproto", through_engine=5),
    SelectedTests("ssl", "test.test_asyncio.test_streams", BY_NAME, through_engine=3),
    SelectedTests(
        "ssl", "test.test_asyncio.test_events", BY_NAME, quick_parts=(), through_engine=20
    ),
    SelectedTests(
        "ssl", "test.test_asyncio.test_sendfile", BY_NAME, quick_parts=(), through_engine=12
    ),
    SelectedTests("ssl", "test.test_asyncio.test_buffered_proto"),
    SelectedTests("asyncio", "test.test_asyncio.test_ssl", through_engine=12),
    SelectedTests("asyncio", "test.test_asyncio.test_sslproto", through_engine=5),
    SelectedTests("asyncio", "test.test_asyncio.test_streams", BY_NAME, through_engine=3),
    SelectedTests(
        "asyncio",
        "test.test_asyncio.test_events",
        BY_NAME,
        quick_parts=("EPoll*ssl",),
        through_engine=20,
    ),
    SelectedTests(
        "asyncio",
        "test.test_asyncio.test_sendfile",
        BY_NAME,
        quick_parts=("EPoll*ssl",),
        through_engine=12,
    ),
    SelectedTests("asyncio", "test.test_asyncio.test_buffered_proto"),
    SelectedTests(
        "asyncio on uvloop", "test.test_asyncio.test_ssl", quick_parts=(), through_engine=12
    ),
    SelectedTests(
        "asyncio on uvloop", "test.test_asyncio.test_sslproto", quick_parts=(), through_engine=5
    ),
    SelectedTests("asyncio on uvloop", "test.test_asyncio.test_streams", BY_NAME, through_engine=3),
)
