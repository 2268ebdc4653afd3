"""Echoes over streams, between our functions and those of asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.support import (
    OUR_LOOPS,
    STOCK_LOOPS,
    LoopFactory,
    client_config,
    client_context,
    server_config,
    server_context,
)

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

MIB = 1 << 20

MakeSsl = Callable[[], Any]
Pair = tuple[LoopFactory, Any, Any, MakeSsl, MakeSsl]


def pairs() -> Iterator[tuple[str, Pair]]:
    """Yield the loops, the modules of both ends, and what makes their configurations.

    A stock loop has our functions at one end or at both; our loops have asyncio's functions.
    """
    kinds: dict[str, tuple[MakeSsl, MakeSsl]]
    kinds = {"openssl": (server_context, client_context), "rustls": (server_config, client_config)}
    for kind, (server, client) in kinds.items():
        for name, factory in OUR_LOOPS.items():
            yield f"{name}-{kind}", (factory, asyncio, asyncio, server, client)
        for name, factory in STOCK_LOOPS.items():
            yield f"{name}-ours-ours-{kind}", (factory, ours, ours, server, client)
            yield f"{name}-ours-stock-{kind}", (factory, ours, asyncio, server, client_context)
            yield f"{name}-stock-ours-{kind}", (factory, asyncio, ours, server_context, client)


PAIRS = dict(pairs())
on_all_pairs = pytest.mark.parametrize(
    ("factory", "servers", "clients", "server_ssl", "client_ssl"), PAIRS.values(), ids=PAIRS
)


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    """Send everything back, and close."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens at."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def exchange(reader: StreamReader, writer: StreamWriter, size: int = 3 * MIB) -> None:
    """Send data to an echo, compare what comes back, and close."""
    data = os.urandom(size)

    async def send() -> None:
        writer.write(data)
        await writer.drain()

    sending = asyncio.create_task(send())
    assert await reader.readexactly(size) == data
    await sending
    writer.close()
    await writer.wait_closed()


async def close(server: asyncio.Server) -> None:
    """Close a server, and wait for its connections."""
    server.close()
    await server.wait_closed()
