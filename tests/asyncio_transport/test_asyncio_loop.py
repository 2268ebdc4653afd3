"""Functions and loops that create transports: against asyncio's own TLS, and against ourselves."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.streams import MakeSsl, close, echo, exchange, on_all_pairs, port_of
from tests.asyncio_transport.support import (
    BACKGROUND,
    LoopFactory,
    Recorder,
    client_context,
    on_all_loops,
    on_our_loops,
    run,
    server_context,
    tcp_pair,
    threads,
)

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from pathlib import Path
    from types import ModuleType


@on_all_pairs
def test_an_echo_over_tcp_is_byte_exact(
    factory: LoopFactory,
    servers: ModuleType,
    clients: ModuleType,
    server_ssl: MakeSsl,
    client_ssl: MakeSsl,
) -> None:
    async def main() -> None:
        server = await servers.start_server(echo, "127.0.0.1", 0, ssl=server_ssl())
        assert server.get_loop() is asyncio.get_running_loop()
        streams = await clients.open_connection(
            "localhost", port_of(server), ssl=client_ssl(), family=2
        )
        await exchange(*streams)
        await close(server)

    run(factory, main)


@on_all_pairs
def test_an_echo_over_a_unix_socket_is_byte_exact(
    factory: LoopFactory,
    servers: ModuleType,
    clients: ModuleType,
    server_ssl: MakeSsl,
    client_ssl: MakeSsl,
    tmp_path: Path,
) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        server = await servers.start_unix_server(echo, path, ssl=server_ssl())
        streams = await clients.open_unix_connection(
            path, ssl=client_ssl(), server_hostname="localhost"
        )
        await exchange(*streams)
        await close(server)

    run(factory, main)


@on_all_loops
def test_sendfile_sends_the_file_and_moves_its_position(
    factory: LoopFactory, tmp_path: Path
) -> None:
    data = os.urandom(300_000)
    (tmp_path / "file").write_bytes(data)

    async def main() -> None:
        receiver = Recorder()
        server = await ours.create_server(lambda: receiver, "127.0.0.1", 0, ssl=server_context())
        transport, client = await ours.create_connection(
            Recorder,
            "127.0.0.1",
            port_of(server),
            ssl=client_context(),
            server_hostname="localhost",
        )
        with (tmp_path / "file").open("rb") as file:
            assert await ours.sendfile(transport, file, 1000, 250_000) == 250_000
            assert file.tell() == 251_000
            with pytest.raises(RuntimeError, match="fallback is disabled"):
                await ours.sendfile(transport, file, fallback=False)
        assert await receiver.received(250_000) == data[1000:251_000]
        transport.close()
        await client.lost.wait()
        await close(server)

    run(factory, main)


@on_all_loops
def test_a_thousand_connections_open_at_once_without_threads(factory: LoopFactory) -> None:
    count = 1000 if os.environ.get("CI") else 200

    async def main() -> None:
        server = await ours.start_server(
            echo, "127.0.0.1", 0, ssl=server_context(), backlog=count, ssl_handshake_timeout=60
        )
        trust, port = client_context(), port_of(server)
        before = threads()

        async def client(number: int) -> None:
            reader, writer = await ours.open_connection(
                "127.0.0.1", port, ssl=trust, server_hostname="localhost"
            )
            await exchange(reader, writer, 100 + number)

        await asyncio.gather(*map(client, range(count)))
        assert threads() - before <= BACKGROUND
        await close(server)

    run(factory, main)


@on_all_loops
def test_the_extra_info_is_that_of_asyncio(factory: LoopFactory) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def look(_reader: StreamReader, writer: StreamWriter) -> None:
            seen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
            seen.append(writer.get_extra_info("sslcontext"))
            writer.close()
            await writer.wait_closed()

        here, there = server_context(), client_context()
        here.set_alpn_protocols(["h2", "http/1.1"])
        there.set_alpn_protocols(["http/1.1"])
        server = await ours.start_server(look, "127.0.0.1", 0, ssl=here)
        reader, writer = await ours.open_connection(
            "127.0.0.1", port_of(server), ssl=there, server_hostname="localhost"
        )
        assert writer.get_extra_info("sslcontext") is there
        assert writer.get_extra_info("compression") is None
        assert writer.get_extra_info("cipher")[1] == "TLSv1.3"
        subject = writer.get_extra_info("peercert")["subject"]
        assert subject == ((("commonName", "localhost"),),)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert await reader.read() == b""
        assert seen == ["http/1.1", here]
        writer.close()
        await writer.wait_closed()
        await close(server)

    run(factory, main)


@on_all_loops
def test_a_closed_server_waits_for_its_connections(factory: LoopFactory) -> None:
    async def main() -> None:
        server = await ours.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        assert server.is_serving()
        reader, writer = await ours.open_connection(
            "127.0.0.1", port_of(server), ssl=client_context(), server_hostname="localhost"
        )
        server.close()
        assert not server.is_serving()
        assert server.sockets == ()
        await exchange(reader, writer, 1000)
        await server.wait_closed()

    run(factory, main)


@on_all_loops
def test_serve_forever_ends_by_cancellation(factory: LoopFactory) -> None:
    async def main() -> None:
        server = await ours.start_server(
            echo, "127.0.0.1", 0, ssl=server_context(), start_serving=False
        )
        forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0.001)
        streams = await ours.open_connection(
            "127.0.0.1", port_of(server), ssl=client_context(), server_hostname="localhost"
        )
        await exchange(*streams, 1000)
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
        assert not server.is_serving()

    run(factory, main)


def test_install_makes_asyncio_run_use_our_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> object:
        return asyncio.get_running_loop()

    policy: list[Any] = []
    monkeypatch.setattr(asyncio, "set_event_loop_policy", policy.append)
    ours.install()
    loop = policy[0].new_event_loop()
    assert isinstance(loop, ours.Loop)
    loop.close()
    with asyncio.Runner(loop_factory=ours.new_event_loop) as runner:
        assert isinstance(runner.run(main()), ours.Loop)


@on_our_loops
def test_wrong_arguments_are_refused_as_by_asyncio(factory: LoopFactory) -> None:
    async def main() -> None:
        create_connection: Any = asyncio.get_running_loop().create_connection
        with pytest.raises(TypeError, match="must be an SSLContext"):
            await ours.create_server(Recorder, "127.0.0.1", 0, ssl=True)
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            with pytest.raises(ValueError, match=f"{name} is only meaningful with ssl"):
                await ours.create_server(Recorder, "127.0.0.1", 0, **{name: 1.0})
            ends = tcp_pair()
            with (
                ends[0],
                ends[1],
                pytest.raises(ValueError, match=f"{name} should be a positive number, got 0"),
            ):
                await create_connection(
                    Recorder,
                    sock=ends[0],
                    ssl=client_context(),
                    server_hostname="localhost",
                    **{name: 0},
                )
        with pytest.raises(ValueError, match="have to pass server_hostname"):
            await ours.create_unix_connection(Recorder, "/nowhere", ssl=client_context())

    run(factory, main)
