"""The private parts of the standard library's asyncio that this package builds on.

They exist in all supported versions of Python. Importing this module fails where one is missing.
"""

import asyncio
import logging
import socket
import sys
from asyncio import base_events, constants, selector_events, transports, trsock
from typing import TYPE_CHECKING, Any, Protocol

__all__ = [
    "HANDSHAKE_TIMEOUT",
    "HIGH_WATER",
    "SHUTDOWN_TIMEOUT",
    "FallbackSendfile",
    "FlowControl",
    "PlainTransport",
    "SelectorLoop",
    "TransportServer",
    "attach",
    "claim_descriptor",
    "detach",
    "ensure_unclaimed",
    "logger",
    "transport_socket",
]

logger = logging.getLogger("asyncio")

SelectorLoop: Any = selector_events.BaseSelectorEventLoop
PlainTransport: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
BaseServer: Any = base_events.Server

_private: Any = constants
HANDSHAKE_TIMEOUT: float = _private.SSL_HANDSHAKE_TIMEOUT
SHUTDOWN_TIMEOUT: float = _private.SSL_SHUTDOWN_TIMEOUT
HIGH_WATER: int = _private.FLOW_CONTROL_HIGH_WATER_SSL_WRITE * 1024
LOG_LATE_WRITES_FROM: int = _private.LOG_THRESHOLD_FOR_CONNLOST_WRITES
FallbackSendfile: object = _private._SendfileMode.FALLBACK


class TransportServer(Protocol):
    """A server that counts its transports, as :class:`asyncio.Server` does."""


if TYPE_CHECKING:

    class FlowControl(asyncio.Transport):
        """The write limits of a transport, and the calls of its protocol that follow from them."""

        _loop: asyncio.AbstractEventLoop
        _protocol_paused: bool

        def __init__(self, extra: dict[str, Any] | None, loop: asyncio.AbstractEventLoop) -> None:
            """Set the default limits."""

        def _set_write_buffer_limits(
            self, high: int | None = None, low: int | None = None
        ) -> None: ...
        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...

else:
    FlowControl = transports._FlowControlMixin


def attach(server: TransportServer, transport: asyncio.BaseTransport) -> None:
    """Count a transport of ``server``."""
    counting: Any = server
    counting._attach(transport) if sys.version_info >= (3, 13) else counting._attach()


def detach(server: TransportServer, transport: asyncio.BaseTransport) -> None:
    """Undo :func:`attach`."""
    counting: Any = server
    counting._detach(transport) if sys.version_info >= (3, 13) else counting._detach()


def ensure_unclaimed(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Check that no transport of the loop uses a descriptor.

    :raises RuntimeError: one does.
    """
    if isinstance(loop, SelectorLoop):
        selector_loop: Any = loop
        selector_loop._ensure_fd_no_transport(fd)


def claim_descriptor(
    loop: asyncio.AbstractEventLoop, fd: int, transport: asyncio.BaseTransport
) -> None:
    """Let the loop refuse other users of a transport's descriptor.

    :raises RuntimeError: another transport uses it.
    """
    ensure_unclaimed(loop, fd)
    if isinstance(loop, SelectorLoop):
        selector_loop: Any = loop
        selector_loop._transports[fd] = transport


def transport_socket(sock: socket.socket) -> Any:
    """Return the view of a socket that transports show to their users."""
    return trsock.TransportSocket(sock)
