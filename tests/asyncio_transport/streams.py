"""Echoes over streams, between our functions and those of asyncio."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.support import (
    OUR_LOOPS,
    STOCK_LOOPS,
    LoopFactory,
)

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

MIB = 1 << 20

PAIRS: dict[str, tuple[LoopFactory, Any, Any]] = {
    f"{name}-{first}-{second}": (factory, globals()["ours" if first == "ours" else "asyncio"], peer)
    for name, factory in STOCK_LOOPS.items()
    for first, second, peer in (
        ("ours", "ours", ours),
        ("ours", "stock", asyncio),
        ("stock", "ours", ours),
    )
} | {name: (factory, asyncio, asyncio) for name, factory in OUR_LOOPS.items()}

on_all_pairs = pytest.mark.parametrize(("factory", "servers", "clients"), PAIRS.values(), ids=PAIRS)


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
