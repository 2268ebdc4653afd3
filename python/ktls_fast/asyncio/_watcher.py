"""Waiting for a descriptor on any event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

from ._stdlib import SelectorLoop

__all__ = ["DescriptorWatcher"]


class DescriptorWatcher:
    """The readiness callbacks of one descriptor."""

    __slots__ = ("_is_reading", "_is_writing", "_methods", "fd")

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        """Watch nothing yet."""
        # The public methods of selector loops refuse the descriptors of transports.
        prefix = "_" if isinstance(loop, SelectorLoop) else ""
        methods: Any = loop
        self._methods: tuple[Callable[..., Any], ...] = tuple(
            getattr(methods, prefix + name)
            for name in ("add_reader", "remove_reader", "add_writer", "remove_writer")
        )
        self.fd = fd
        self._is_reading = self._is_writing = False

    def watch_reads(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever the descriptor is readable, and no longer another one."""
        self._is_reading = True
        self._methods[0](self.fd, callback)

    def stop_reads(self) -> None:
        """Undo :meth:`watch_reads`."""
        if self._is_reading:
            self._is_reading = False
            self._methods[1](self.fd)

    def watch_writes(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever the descriptor is writable, unless this was called before."""
        if not self._is_writing:
            self._is_writing = True
            self._methods[2](self.fd, callback)

    def stop_writes(self) -> None:
        """Undo :meth:`watch_writes`."""
        if self._is_writing:
            self._is_writing = False
            self._methods[3](self.fd)

    def stop(self) -> None:
        """Watch nothing any more."""
        self.stop_reads()
        self.stop_writes()
