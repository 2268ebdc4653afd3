"""The streams of asyncio over the transports of this package."""

import asyncio
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import Awaitable, Callable
from typing import Any

from . import _functions

__all__ = ["open_connection", "open_unix_connection", "start_server", "start_unix_server"]

LIMIT = 64 << 10
"""The default limit of asyncio's streams."""

ClientConnected = Callable[[StreamReader, StreamWriter], Awaitable[None] | None]


async def open_connection(
    host: Any = None, port: Any = None, *, limit: int = LIMIT, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect to a server and return its streams; see :func:`asyncio.open_connection`."""
    reader, protocol = _client_protocol(limit)
    made = await _functions.create_connection(lambda: protocol, host, port, **options)
    return reader, _writer(made[0], protocol, reader)


async def open_unix_connection(
    path: Any = None, *, limit: int = LIMIT, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect to a Unix socket and return its streams; see :func:`asyncio.open_unix_connection`."""
    reader, protocol = _client_protocol(limit)
    made = await _functions.create_unix_connection(lambda: protocol, path, **options)
    return reader, _writer(made[0], protocol, reader)


async def start_server(
    client_connected_cb: ClientConnected,
    host: Any = None,
    port: Any = None,
    *,
    limit: int = LIMIT,
    **options: Any,
) -> asyncio.Server:
    """Serve each client by a callback with its streams; see :func:`asyncio.start_server`."""
    make = _server_protocols(client_connected_cb, limit)
    return await _functions.create_server(make, host, port, **options)


async def start_unix_server(
    client_connected_cb: ClientConnected, path: Any = None, *, limit: int = LIMIT, **options: Any
) -> asyncio.Server:
    """Serve each client of a Unix socket by a callback; see :func:`asyncio.start_unix_server`."""
    make = _server_protocols(client_connected_cb, limit)
    return await _functions.create_unix_server(make, path, **options)


def _client_protocol(limit: int) -> tuple[StreamReader, StreamReaderProtocol]:
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit=limit, loop=loop)
    return reader, StreamReaderProtocol(reader, loop=loop)


def _writer(
    transport: asyncio.Transport, protocol: StreamReaderProtocol, reader: StreamReader
) -> StreamWriter:
    return StreamWriter(transport, protocol, reader, asyncio.get_running_loop())


def _server_protocols(
    client_connected_cb: ClientConnected, limit: int
) -> Callable[[], StreamReaderProtocol]:
    loop = asyncio.get_running_loop()

    def make() -> StreamReaderProtocol:
        reader = StreamReader(limit=limit, loop=loop)
        return StreamReaderProtocol(reader, client_connected_cb, loop=loop)

    return make
