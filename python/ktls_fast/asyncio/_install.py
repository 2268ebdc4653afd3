"""Switching a whole program to the loops of this package."""

import asyncio
from collections.abc import Callable
from typing import Any

from ._loop import Loop

__all__ = ["EventLoopPolicy", "install", "new_event_loop", "new_uvloop"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new selector event loop whose TLS transports are those of this package."""
    return Loop()


def new_uvloop() -> asyncio.AbstractEventLoop:
    """Return a new event loop of uvloop whose TLS transports are those of this package.

    :raises ImportError: uvloop is not installed.
    """
    from ._uvloop import UvloopLoop

    return UvloopLoop()


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """asyncio's default policy, with the loops of one factory."""

    def __init__(self, loop_factory: LoopFactory = new_event_loop) -> None:
        """Create loops by ``loop_factory``."""
        super().__init__()
        self._make_loop: Any = loop_factory

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new loop of the factory."""
        loop: asyncio.AbstractEventLoop = self._make_loop()
        return loop


def install(loop_factory: LoopFactory = new_event_loop) -> None:
    """Let ``asyncio.run`` and ``asyncio.new_event_loop`` create loops of this package.

    :param loop_factory: :func:`new_event_loop` or :func:`new_uvloop`.
    """
    asyncio.set_event_loop_policy(EventLoopPolicy(loop_factory))  # type: ignore[deprecated]
