"""Upgrades of plain and TLS transports to TLS."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.streams import MakeSsl, close, echo, exchange, on_all_pairs, port_of
from tests.asyncio_transport.support import (
    LoopFactory,
    Recorder,
    client_config,
    client_context,
    on_our_loops,
    run,
    server_config,
    server_context,
)

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter
    from types import ModuleType


@on_all_pairs
def test_a_plain_connection_upgrades_to_tls(
    factory: LoopFactory,
    servers: ModuleType,
    clients: ModuleType,
    server_ssl: MakeSsl,
    client_ssl: MakeSsl,
) -> None:
    async def upgrade(
        module: ModuleType, writer: StreamWriter, context: ssl.SSLContext, **options: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        start_tls = ours.start_tls if module is ours else loop.start_tls
        protocol: Any = writer.transport.get_protocol()
        upgraded = await start_tls(writer.transport, protocol, context, **options)
        # What StreamWriter.start_tls does with the result.
        streams: Any = writer
        streams._transport = protocol._transport = upgraded
        if isinstance(upgraded, ours.TLSTransport):
            # Otherwise the reader could not slow the peer down.
            assert protocol._stream_reader._transport is upgraded
        protocol._over_ssl = True

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await upgrade(servers, writer, server_ssl(), server_side=True)
        await echo(reader, writer)

    async def main() -> None:
        server = await servers.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go ahead\n"
        await upgrade(clients, writer, client_ssl(), server_hostname="localhost")
        assert writer.get_extra_info("cipher")[1] == "TLSv1.3"
        await exchange(reader, writer)
        await close(server)

    run(factory, main)


@on_our_loops
@pytest.mark.parametrize("kind", ["context", "config"])
def test_tls_runs_inside_tls(factory: LoopFactory, kind: str) -> None:
    inner_server: Any = server_context() if kind == "context" else server_config()
    inner_client: Any = client_context() if kind == "context" else client_config()
    data = os.urandom(1 << 20)

    async def main() -> None:
        upgraded: list[Any] = []

        class Inner(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                upgraded.append(asyncio.create_task(self.upgrade()))

            async def upgrade(self) -> None:
                loop = asyncio.get_running_loop()
                self.transport = await loop.start_tls(
                    self.transport, self, inner_server, server_side=True
                )
                self.transport.write(data)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(Inner, "127.0.0.1", 0, ssl=server_context())
        transport, client = await loop.create_connection(
            Recorder,
            "127.0.0.1",
            port_of(server),
            ssl=client_context(),
            server_hostname="localhost",
        )
        inner: Any = await loop.start_tls(
            transport, client, inner_client, server_hostname="localhost"
        )
        assert await client.received(len(data)) == data
        assert inner.get_extra_info("cipher")[1] == "TLSv1.3"
        inner.close()
        await client.lost.wait()
        await asyncio.gather(*upgraded)
        await close(server)

    run(factory, main)
