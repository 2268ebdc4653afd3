"""KeyUpdates under way between our transports and those of asyncio."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.streams import MakeSsl, close, echo, port_of
from tests.asyncio_transport.support import (
    STOCK_LOOPS,
    LoopFactory,
    client_config,
    client_context,
    run,
    server_config,
    server_context,
)

PARTS = 40
SERVERS: dict[str, MakeSsl] = {"openssl": server_context, "rustls": server_config}
CLIENTS: dict[str, MakeSsl] = {"openssl": client_context, "rustls": client_config}
on_stock_loops = pytest.mark.parametrize("factory", STOCK_LOOPS.values(), ids=STOCK_LOOPS)


async def send_with_updates(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send data with a KeyUpdate after each part; every fourth one requests another."""
    transport: Any = writer.transport
    size = len(data) // PARTS
    for number in range(PARTS):
        writer.write(data[number * size : (number + 1) * size])
        await transport.key_update(request_peer=number % 4 == 0)
        await writer.drain()


@on_stock_loops
@pytest.mark.parametrize("ssl_of_ours", CLIENTS.values(), ids=CLIENTS)
def test_a_client_updates_its_keys_while_a_stock_server_echoes(
    factory: LoopFactory, ssl_of_ours: MakeSsl
) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        reader, writer = await ours.open_connection(
            "127.0.0.1", port_of(server), ssl=ssl_of_ours(), server_hostname="localhost"
        )
        data = os.urandom(PARTS * 50_000)
        sending = asyncio.create_task(send_with_updates(writer, data))
        assert await reader.readexactly(len(data)) == data
        await sending
        sent, received = writer.get_extra_info("generation")
        assert sent >= PARTS
        assert received >= 1
        writer.close()
        await writer.wait_closed()
        await close(server)

    run(factory, main)


@on_stock_loops
@pytest.mark.parametrize("ssl_of_ours", SERVERS.values(), ids=SERVERS)
def test_a_server_updates_its_keys_while_a_stock_client_sends(
    factory: LoopFactory, ssl_of_ours: MakeSsl
) -> None:
    async def main() -> None:
        down = os.urandom(PARTS * 50_000)
        up = os.urandom(2 << 20)
        received: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sending = asyncio.create_task(send_with_updates(writer, down))
            received.append(await reader.readexactly(len(up)))
            await sending
            writer.close()
            await writer.wait_closed()

        server = await ours.start_server(serve, "127.0.0.1", 0, ssl=ssl_of_ours())
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port_of(server), ssl=client_context(), server_hostname="localhost"
        )
        writer.write(up)
        assert await reader.read(-1) == down
        assert received == [up]
        writer.close()
        await writer.wait_closed()
        await close(server)

    run(factory, main)
