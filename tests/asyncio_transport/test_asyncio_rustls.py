"""Handshakes by rustls on event loops: refused, aborted, slow, cancelled and many."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any

import pytest

import ktls_fast.asyncio as ours
from ktls_fast import ClientConfig, HandshakeError, KtlsError
from tests.asyncio_transport.streams import close, echo, exchange, port_of
from tests.asyncio_transport.support import (
    BACKGROUND,
    LoopFactory,
    Recorder,
    client_config,
    on_all_loops,
    run,
    server_config,
    tcp_pair,
    threads,
    turns,
)
from tests.asyncio_transport.test_asyncio_handshake import NOT_TLS, NeverMade, find_transport


async def accept(sock: Any, **options: Any) -> Any:
    """Start the server's handshake on a socket."""
    sock.setblocking(False)
    return await ours.connect_accepted_socket(NeverMade, sock, ssl=server_config(), **options)


@on_all_loops
def test_a_certificate_that_is_not_trusted_is_refused_with_an_alert(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = tcp_pair()
        accepting = asyncio.create_task(accept(ends[1]))
        with pytest.raises(HandshakeError, match="certificate"):
            await ours.create_connection(
                NeverMade, sock=ends[0], ssl=ClientConfig("webpki"), server_hostname="localhost"
            )
        with pytest.raises(HandshakeError, match="unknown_ca"):
            await accepting

    run(factory, main)


@on_all_loops
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_peer_that_leaves_is_an_error(factory: LoopFactory, sent: bytes) -> None:
    async def main() -> None:
        ends = tcp_pair()
        accepting = asyncio.create_task(accept(ends[1]))
        await turns()
        ends[0].sendall(sent)
        ends[0].close()
        with pytest.raises((ConnectionError, KtlsError)):
            await accepting

    run(factory, main)


@on_all_loops
@pytest.mark.parametrize("sent", NOT_TLS)
def test_a_peer_that_does_not_speak_tls_is_refused(factory: LoopFactory, sent: bytes) -> None:
    async def main() -> None:
        ends = tcp_pair()
        ends[0].sendall(sent)
        with pytest.raises(OSError):  # noqa: PT011
            await accept(ends[1], ssl_handshake_timeout=0.3)
        ends[0].close()

    run(factory, main)


@on_all_loops
def test_a_silent_peer_ends_by_the_handshake_timeout(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = tcp_pair()
        with pytest.raises(ConnectionAbortedError, match=r"longer than 0\.01 seconds"):
            await accept(ends[1], ssl_handshake_timeout=0.01)
        assert await asyncio.to_thread(ends[0].recv, 1) == b""
        ends[0].close()

    run(factory, main)


@on_all_loops
@pytest.mark.parametrize("end", ["abort", "close", "cancel"])
def test_a_handshake_that_is_given_up_closes_its_socket(factory: LoopFactory, end: str) -> None:
    async def main() -> None:
        ends = tcp_pair()
        accepting = asyncio.create_task(accept(ends[1]))
        await turns(3)
        if end == "cancel":
            accepting.cancel()
        else:
            getattr(find_transport(accepting), end)()
        await asyncio.gather(accepting, return_exceptions=True)
        assert await asyncio.to_thread(ends[0].recv, 1) == b""
        ends[0].close()

    run(factory, main)


@on_all_loops
def test_cancellation_at_every_turn_leaks_nothing(factory: LoopFactory) -> None:
    async def connect_and_exchange(port: int) -> None:
        reader, writer = await ours.open_connection(
            "127.0.0.1", port, ssl=client_config(), server_hostname="localhost"
        )
        try:
            writer.write(os.urandom(100_000))
            await writer.drain()
            await reader.readexactly(100_000)
        finally:
            writer.close()
        await writer.wait_closed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # a cancelled client may end by a reset
            await echo(reader, writer)
        writer.close()

    async def main() -> None:
        server = await ours.start_server(serve, "127.0.0.1", 0, ssl=server_config())
        finished = False
        count = 0
        while not finished:
            task = asyncio.create_task(connect_and_exchange(port_of(server)))
            await turns(count)
            task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            finished = result is None
            assert finished or isinstance(result, asyncio.CancelledError)
            count += 1 + count // 8
        assert count > 5
        await close(server)

    run(factory, main)


@on_all_loops
def test_a_thousand_connections_open_at_once_without_threads(factory: LoopFactory) -> None:
    count = 1000 if os.environ.get("CI") else 200

    async def main() -> None:
        server = await ours.start_server(
            echo, "127.0.0.1", 0, ssl=server_config(), backlog=count, ssl_handshake_timeout=60
        )
        trust, port = client_config(resumption=False), port_of(server)
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
def test_the_ssl_object_answers_what_frameworks_ask(factory: LoopFactory) -> None:
    async def main() -> None:
        receiver = Recorder()
        server = await ours.create_server(
            lambda: receiver, "127.0.0.1", 0, ssl=server_config(alpn=["h2", "http/1.1"])
        )
        config = client_config(alpn=["http/1.1"])
        transport, client = await ours.create_connection(
            Recorder, "127.0.0.1", port_of(server), ssl=config, server_hostname="localhost"
        )
        sslobject = transport.get_extra_info("ssl_object")
        assert sslobject.selected_alpn_protocol() == "http/1.1"
        assert sslobject.version() == "TLSv1.3"
        assert sslobject.server_hostname == "localhost"
        assert not sslobject.server_side
        assert sslobject.context is config
        assert transport.get_extra_info("sslcontext") is config
        assert transport.get_extra_info("cipher")[1:] == ("TLSv1.3", 256)
        subject = transport.get_extra_info("peercert")["subject"]
        assert subject == ((("commonName", "localhost"),),)
        assert sslobject.getpeercert(True)[:1] == b"\x30"
        await receiver.made.wait()
        assert receiver.transport.get_extra_info("peercert") is None
        assert receiver.transport.get_extra_info("ssl_object").server_side
        transport.close()
        await client.lost.wait()
        await close(server)

    run(factory, main)


@on_all_loops
def test_a_configuration_of_the_other_side_is_refused(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = tcp_pair()
        with client, server:
            with pytest.raises(TypeError, match="ServerConfig cannot be used by a client"):
                await ours.create_connection(
                    NeverMade, sock=client, ssl=server_config(), server_hostname="localhost"
                )
            with pytest.raises(TypeError, match="ClientConfig cannot be used by a server"):
                await ours.connect_accepted_socket(NeverMade, server, ssl=client_config())

    run(factory, main)


@on_all_loops
def test_tcp_sends_small_records_without_delay(factory: LoopFactory) -> None:
    async def main() -> None:
        receiver = Recorder()
        server = await ours.create_server(lambda: receiver, "127.0.0.1", 0, ssl=server_config())
        transport, client = await ours.create_connection(
            Recorder, "127.0.0.1", port_of(server), ssl=client_config(), server_hostname="localhost"
        )
        await receiver.made.wait()
        for end in (transport, receiver.transport):
            sock = end.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()
        await client.lost.wait()
        await close(server)

    run(factory, main)
