"""Upgrades of plain transports to TLS."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from ktls_fast import ClientConfig, ServerConfig

from ._config_context import ConfigContext
from ._handshake import handshake_for
from ._stdlib import PlainTransport
from ._transport import TLSTransport

__all__ = ["start_tls"]

TURNS_TO_SEND = 8
"""Turns of the loop after which a plain transport must have sent what was written."""

StockStartTLS = Callable[..., Awaitable[asyncio.Transport | None]]


async def start_tls(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.BaseTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: object,
    stock: StockStartTLS,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    **timeouts: Any,
) -> asyncio.Transport | None:
    """Upgrade a transport to TLS, over its own socket if that can be taken over.

    :param stock: the loop's own ``start_tls``, for all other transports.
    """
    if not await can_be_taken(transport):
        if isinstance(sslcontext, (ServerConfig, ClientConfig)):
            sslcontext = ConfigContext(sslcontext)
        return await stock(
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            **timeouts,
        )
    sock, server = take_socket(transport)
    try:
        handshake = handshake_for(
            sock, sslcontext, server_side=server_side, server_hostname=server_hostname
        )
        waiter = loop.create_future()
        upgraded = TLSTransport(
            loop,
            protocol,
            handshake,
            waiter=waiter,
            server=server,
            call_connection_made=False,
            **timeouts,
        )
    except BaseException:
        sock.close()
        raise
    finally:
        drop(transport)
    replace_in_reader(protocol, transport, upgraded)
    try:
        await waiter
    except BaseException:
        upgraded.close()
        raise
    return upgraded


async def can_be_taken(transport: Any) -> bool:
    """Return True if the transport has a plain socket of its own, and has sent everything."""
    kind = type(transport)
    is_uvloops = kind.__module__ == "uvloop.loop" and kind.__name__ in (
        "TCPTransport",
        "UnixTransport",
    )
    if not (kind is PlainTransport or is_uvloops) or transport.is_closing():
        return False
    transport.pause_reading()
    for _ in range(TURNS_TO_SEND):
        # uvloop sends, and counts, what was written at the end of a turn.
        await asyncio.sleep(0)
        if not transport.get_write_buffer_size():
            return not transport.is_closing()
    return False


def take_socket(transport: Any) -> tuple[socket.socket, Any]:
    """Return a socket over a duplicate of the transport's descriptor, and its server, if any."""
    fd = os.dup(transport.get_extra_info("socket").fileno())
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock, getattr(transport, "_server", None)


def replace_in_reader(protocol: Any, before: object, after: asyncio.Transport) -> None:
    """Let the stream reader of a protocol pause the new transport.

    The reader keeps the plain one, which is below the new one in asyncio's own implementation.
    """
    reader = getattr(protocol, "_stream_reader", None)
    if reader is not None and reader._transport is before:
        reader._transport = after


def drop(transport: Any) -> None:
    """Close the plain transport; its protocol does not learn of it."""
    transport.set_protocol(asyncio.Protocol())
    transport.abort()
