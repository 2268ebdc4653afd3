"""Handshakes: refused, aborted, slow, and cancelled ones."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.streams import close, echo, port_of
from tests.asyncio_transport.support import (
    LoopFactory,
    Recorder,
    client_context,
    on_all_loops,
    run,
    server_context,
    tcp_pair,
    turns,
)

if TYPE_CHECKING:
    import socket


class NeverMade(asyncio.Protocol):
    """A protocol that must not get a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pytest.fail("connection_made was called")

    def connection_lost(self, exc: BaseException | None) -> None:
        pytest.fail("connection_lost was called")


async def accept(sock: socket.socket, **options: Any) -> Any:
    """Start the server's handshake on a socket."""
    sock.setblocking(False)
    return await ours.connect_accepted_socket(NeverMade, sock, ssl=server_context(), **options)


@on_all_loops
def test_a_certificate_that_is_not_trusted_is_refused_on_both_sides(factory: LoopFactory) -> None:
    async def main() -> None:
        server = await ours.create_server(NeverMade, "127.0.0.1", 0, ssl=server_context())
        with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
            await ours.create_connection(
                NeverMade,
                "127.0.0.1",
                port_of(server),
                ssl=ssl.create_default_context(),
                server_hostname="localhost",
            )
        await close(server)

    run(factory, main)


@on_all_loops
def test_the_peer_learns_of_a_refusal_by_an_alert(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = tcp_pair()
        accepting = asyncio.create_task(accept(ends[1]))
        with pytest.raises(ssl.SSLCertVerificationError):
            await ours.create_connection(
                NeverMade,
                sock=ends[0],
                ssl=ssl.create_default_context(),
                server_hostname="localhost",
            )
        with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
            await accepting

    run(factory, main)


@on_all_loops
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_peer_that_leaves_during_the_handshake_is_a_connection_reset(
    factory: LoopFactory, sent: bytes
) -> None:
    async def main() -> None:
        ends = tcp_pair()
        accepting = asyncio.create_task(accept(ends[1]))
        await turns()
        ends[0].sendall(sent)
        ends[0].close()
        with pytest.raises(ConnectionResetError):
            await accepting

    run(factory, main)


NOT_TLS = [b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0" * 9]


@on_all_loops
@pytest.mark.parametrize("sent", NOT_TLS)
def test_a_peer_that_does_not_speak_tls_is_refused(factory: LoopFactory, sent: bytes) -> None:
    async def main() -> None:
        ends = tcp_pair()
        ends[0].sendall(sent)
        with pytest.raises((ssl.SSLError, OSError)):
            await accept(ends[1], ssl_handshake_timeout=0.3)
        ends[0].close()

    run(factory, main)


@on_all_loops
def test_a_silent_peer_ends_by_the_handshake_timeout(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = tcp_pair()
        message = "SSL handshake is taking longer than 0.01 seconds: aborting the connection"
        with pytest.raises(ConnectionAbortedError, match=message):
            await accept(ends[1], ssl_handshake_timeout=0.01)
        ends[0].close()

    run(factory, main)


@on_all_loops
def test_a_cancelled_handshake_closes_its_socket(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = tcp_pair()
        accepting = asyncio.create_task(accept(ends[1]))
        await turns(3)
        accepting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await accepting
        await turns(2)
        assert await asyncio.to_thread(ends[0].recv, 1) == b""
        ends[0].close()

    run(factory, main)


@on_all_loops
def test_cancellation_at_every_turn_leaks_nothing(factory: LoopFactory) -> None:
    async def connect_and_exchange(port: int) -> None:
        reader, writer = await ours.open_connection(
            "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
        )
        try:
            writer.write(os.urandom(100_000))
            await writer.drain()
            await reader.readexactly(100_000)
        finally:
            writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # A cancelled client may end by a reset.
            with suppress(ConnectionError, ssl.SSLError):
                await echo(reader, writer)
            writer.close()

        server = await ours.start_server(serve, "127.0.0.1", 0, ssl=server_context())
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
def test_start_tls_that_fails_closes_the_connection(factory: LoopFactory) -> None:
    async def main() -> None:
        protocols: list[Recorder] = []

        def make() -> Recorder:
            protocols.append(Recorder())
            return protocols[-1]

        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Recorder, "127.0.0.1", port_of(server)
        )
        upgrade = ours.start_tls(transport, protocol, client_context(), server_hostname="localhost")
        starting = asyncio.create_task(upgrade)
        assert (await protocols[0].received(1))[:1] == b"\x16"
        protocols[0].transport.write(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await starting
        await protocol.lost.wait()
        await protocols[0].lost.wait()
        await close(server)

    run(factory, main)


@on_all_loops
def test_abort_and_close_during_the_handshake_lose_nothing(factory: LoopFactory) -> None:
    async def main() -> None:
        for end in ("abort", "close"):
            ends = tcp_pair()
            accepting = asyncio.create_task(accept(ends[1]))
            await turns(3)
            transport = find_transport(accepting)
            getattr(transport, end)()
            await asyncio.gather(accepting, return_exceptions=True)
            ends[0].close()

    run(factory, main)


def find_transport(task: asyncio.Task[Any]) -> Any:
    """Return the transport that a task creates."""
    coroutine: Any = task.get_coro()
    while (inner := coroutine.cr_await) is not None and hasattr(inner, "cr_frame"):
        coroutine = inner
    return coroutine.cr_frame.f_locals["transport"]


@on_all_loops
def test_data_behind_the_finished_is_delivered(factory: LoopFactory) -> None:
    """The client's first data comes in one segment with its Finished."""

    async def main() -> None:
        here = Recorder()
        ends = tcp_pair()
        ends[1].setblocking(False)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        accepting = asyncio.create_task(
            ours.connect_accepted_socket(lambda: here, ends[1], ssl=server_context())
        )
        ends[0].setblocking(False)
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(ends[0], outgoing.read())
                incoming.write(await loop.sock_recv(ends[0], 1 << 16))
        peer.write(b"early bird")
        with suppress(ssl.SSLWantReadError):
            peer.unwrap()
        await loop.sock_sendall(ends[0], outgoing.read())
        await accepting
        await here.lost.wait()
        assert bytes(here.data) == b"early bird"
        assert here.calls == ["made", "eof", "lost"]
        assert here.error is None
        ends[0].close()

    run(factory, main)
