"""The methods of an event loop that create TLS transports, as functions for the running loop."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from ktls_fast import Connection

from ._handshake import EstablishedHandshake
from ._loop import adapt
from ._transport import TLSTransport

__all__ = [
    "adopt_connection",
    "connect_accepted_socket",
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "sendfile",
    "start_tls",
]

P = TypeVar("P", bound=asyncio.BaseProtocol)


def _methods(options: dict[str, Any]) -> Any:
    """Return the object whose methods create transports: the loop itself if they are plain."""
    loop = asyncio.get_running_loop()
    return adapt(loop) if options.get("ssl") else loop


async def create_connection(
    protocol_factory: Callable[[], P], host: Any = None, port: Any = None, **options: Any
) -> tuple[asyncio.Transport, P]:
    """Connect to a server; see :meth:`asyncio.loop.create_connection`."""
    made: tuple[asyncio.Transport, P]
    made = await _methods(options).create_connection(protocol_factory, host, port, **options)
    return made


async def create_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: Any = None,
    port: Any = None,
    **options: Any,
) -> asyncio.Server:
    """Start a TCP server; see :meth:`asyncio.loop.create_server`."""
    server: asyncio.Server
    server = await _methods(options).create_server(protocol_factory, host, port, **options)
    return server


async def connect_accepted_socket(
    protocol_factory: Callable[[], P], sock: Any, **options: Any
) -> tuple[asyncio.Transport, P]:
    """Serve an accepted socket; see :meth:`asyncio.loop.connect_accepted_socket`."""
    made: tuple[asyncio.Transport, P]
    made = await _methods(options).connect_accepted_socket(protocol_factory, sock, **options)
    return made


async def create_unix_connection(
    protocol_factory: Callable[[], P], path: Any = None, **options: Any
) -> tuple[asyncio.Transport, P]:
    """Connect to a Unix socket; see :meth:`asyncio.loop.create_unix_connection`."""
    made: tuple[asyncio.Transport, P]
    made = await _methods(options).create_unix_connection(protocol_factory, path, **options)
    return made


async def create_unix_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol], path: Any = None, **options: Any
) -> asyncio.Server:
    """Start a server at a Unix socket; see :meth:`asyncio.loop.create_unix_server`."""
    server: asyncio.Server
    server = await _methods(options).create_unix_server(protocol_factory, path, **options)
    return server


async def start_tls(
    transport: asyncio.BaseTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    **options: Any,
) -> asyncio.Transport:
    """Upgrade a transport to TLS; see :meth:`asyncio.loop.start_tls`."""
    upgraded: asyncio.Transport
    upgraded = await adapt(asyncio.get_running_loop()).start_tls(
        transport, protocol, sslcontext, **options
    )
    return upgraded


async def sendfile(
    transport: asyncio.BaseTransport,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool = True,
) -> int:
    """Send a file and return the number of its bytes; see :meth:`asyncio.loop.sendfile`."""
    sent: int
    sent = await adapt(asyncio.get_running_loop()).sendfile(
        transport, file, offset, count, fallback=fallback
    )
    return sent


async def adopt_connection(
    protocol_factory: Callable[[], P], connection: Connection
) -> tuple[TLSTransport, P]:
    """Create a transport over a connection whose handshake is complete.

    :param connection: it becomes non-blocking, and belongs to the transport from now on.
    """
    loop = asyncio.get_running_loop()
    protocol = protocol_factory()
    waiter = loop.create_future()
    transport = TLSTransport(loop, protocol, EstablishedHandshake(connection), waiter=waiter)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol
