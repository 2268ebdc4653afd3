"""``ktls_fast.anyio``: TLS over the byte streams of anyio, on asyncio and trio."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from ktls_fast import HandshakeError
from tests.asyncio_transport.support import (
    client_config,
    client_context,
    server_config,
    server_context,
)

anyio = pytest.importorskip("anyio")
pytest.importorskip("trio")

from anyio import BrokenResourceError, EndOfStream, fail_after  # noqa: E402
from anyio.streams.stapled import StapledObjectStream  # noqa: E402
from anyio.streams.tls import TLSAttribute  # noqa: E402
from anyio.streams.tls import TLSStream as StockStream  # noqa: E402

from ktls_fast.anyio import TLSListener, TLSStream, TrioStream, new_object  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEADLINE = 60.0
on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def run(backend: str, main: Callable[[], Awaitable[Any]]) -> None:
    """Run ``main`` within the deadline."""

    async def timed() -> None:
        with fail_after(DEADLINE):
            await main()

    anyio.run(timed, backend=backend)


async def tcp_pair() -> tuple[Any, Any]:
    """Return the streams of a TCP connection, client first."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    accepted: list[Any] = []
    arrived = anyio.Event()

    async def accept(stream: Any) -> None:  # noqa: ANN401
        accepted.append(stream)
        arrived.set()

    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, accept)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        client = await anyio.connect_tcp("127.0.0.1", port)
        await arrived.wait()
        group.cancel_scope.cancel()
    await listener.aclose()
    return client, accepted[0]


async def both(*calls: Awaitable[Any]) -> list[Any]:
    """Run calls at once and return their results."""
    results: list[Any] = [None] * len(calls)
    async with anyio.create_task_group() as group:

        async def keep(index: int, call: Awaitable[Any]) -> None:
            results[index] = await call

        for index, call in enumerate(calls):
            group.start_soon(keep, index, call)
    return results


async def connected() -> tuple[TLSStream, TLSStream]:
    """Return the ends of a TLS connection, client first."""
    client, server = await tcp_pair()
    ends = await both(
        TLSStream.wrap(client, ssl_context=client_config(), hostname="localhost"),
        TLSStream.wrap(server, ssl_context=server_config()),
    )
    return ends[0], ends[1]


async def read(stream: Any, count: int) -> bytes:  # noqa: ANN401
    """Receive ``count`` bytes."""
    data = bytearray()
    while len(data) < count:
        data += await stream.receive()
    return bytes(data)


@on_both_backends
def test_data_goes_both_ways_at_once_with_key_updates(backend: str) -> None:
    async def main() -> None:
        client, server = await connected()
        data = os.urandom(3 << 20)

        async def send(stream: TLSStream) -> None:
            for start in range(0, len(data), 100_000):
                await stream.send(data[start : start + 100_000])
                await stream.key_update(request_peer=start % 200_000 == 0)

        results = await both(
            send(client), send(server), read(client, len(data)), read(server, len(data))
        )
        assert results[2:] == [data, data]
        assert client.tls.tx_generation >= server.tls.rx_generation > 30
        await both(client.aclose(), server.aclose())

    run(backend, main)


@on_both_backends
@pytest.mark.parametrize("ours_serves", [True, False], ids=["server", "client"])
def test_the_peer_may_be_anyios_own_stream(backend: str, ours_serves: bool) -> None:
    async def main() -> None:
        client, server = await tcp_pair()
        if ours_serves:
            wraps: tuple[Any, Any] = (
                StockStream.wrap(client, ssl_context=client_context(), hostname="localhost"),
                TLSStream.wrap(server, ssl_context=server_config()),
            )
        else:
            wraps = (
                TLSStream.wrap(client, ssl_context=client_config(), hostname="localhost"),
                StockStream.wrap(server, server_side=True, ssl_context=server_context()),
            )
        ends = await both(*wraps)
        data = os.urandom(1 << 20)
        for sender, receiver in (ends, ends[::-1]):
            results = await both(sender.send(data), read(receiver, len(data)))
            assert results[1] == data
        assert ends[0].extra(TLSAttribute.tls_version) == "TLSv1.3"
        await both(ends[0].aclose(), ends[1].aclose())

    run(backend, main)


@on_both_backends
def test_close_notify_is_the_end_of_the_stream_and_the_other_direction_goes_on(
    backend: str,
) -> None:
    async def main() -> None:
        client, server = await connected()
        await client.send(b"question")
        await client.send_eof()
        assert await server.receive() == b"question"
        with pytest.raises(EndOfStream):
            await server.receive()
        await server.send(b"answer")
        assert await client.receive() == b"answer"
        await both(client.aclose(), server.aclose())

    run(backend, main)


@on_both_backends
def test_an_end_without_close_notify_is_an_error_unless_it_is_allowed(backend: str) -> None:
    async def main() -> None:
        for compatible, error in ((True, BrokenResourceError), (False, EndOfStream)):
            client, server = await connected()
            server.standard_compatible = compatible
            await client.transport_stream.send_eof()
            with pytest.raises(error):
                await server.receive()
            await both(client.transport_stream.aclose(), server.transport_stream.aclose())

    run(backend, main)


@on_both_backends
def test_a_refused_certificate_is_a_handshake_error_on_both_sides(backend: str) -> None:
    async def main() -> None:
        client, server = await tcp_pair()

        async def be_refused() -> None:
            with pytest.raises(HandshakeError, match="unknown_ca"):
                await TLSStream.wrap(server, ssl_context=server_config())

        async def refuse() -> None:
            with pytest.raises(HandshakeError, match="certificate"):
                await TLSStream.wrap(client, hostname="localhost")

        await both(refuse(), be_refused())
        await client.aclose()
        await server.aclose()

    run(backend, main)


@on_both_backends
def test_unwrap_returns_the_transport_and_the_bytes_behind_close_notify(backend: str) -> None:
    async def main() -> None:
        client, server = await connected()
        await server.send_eof()
        await server.transport_stream.send(b"in the clear")
        transport, left = await client.unwrap()
        while len(left) < len(b"in the clear"):
            left += await transport.receive()
        assert left == b"in the clear"
        await both(transport.aclose(), server.aclose())

    run(backend, main)


@on_both_backends
def test_a_listener_serves_and_survives_a_failed_handshake(backend: str) -> None:
    async def main() -> None:
        plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = plain.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
        listener = TLSListener(plain, server_config(), handshake_timeout=30)

        async def echo(stream: TLSStream) -> None:
            async with stream:
                async for data in stream:
                    await stream.send(data)

        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo)
            async with await anyio.connect_tcp("127.0.0.1", port) as stranger:
                await stranger.send(b"GET / HTTP/1.0\r\n\r\n")
                await read_to_end(stranger)
            stream = await TLSStream.wrap(
                await anyio.connect_tcp("127.0.0.1", port),
                ssl_context=client_config(),
                hostname="localhost",
            )
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            await stream.aclose()
            group.cancel_scope.cancel()
        await listener.aclose()

    run(backend, main)


async def read_to_end(stream: Any) -> None:  # noqa: ANN401
    """Receive up to the end."""
    try:
        while True:
            await stream.receive()
    except (EndOfStream, BrokenResourceError):
        return


def test_a_stream_of_trio_is_wrapped_too() -> None:
    import trio
    import trio.testing

    async def main() -> None:
        ends = trio.testing.memory_stream_pair()
        client, server = await both(
            TLSStream.wrap(TrioStream(ends[0]), ssl_context=client_config(), hostname="localhost"),
            TLSStream.wrap(TrioStream(ends[1]), ssl_context=server_config()),
        )
        results = await both(client.send(b"over trio"), server.receive())
        assert results[1] == b"over trio"

    run("trio", main)


@on_both_backends
def test_tls_runs_inside_tls(backend: str) -> None:
    async def main() -> None:
        outer = await connected()
        inner = await both(
            TLSStream.wrap(outer[0], ssl_context=client_config(), hostname="localhost"),
            TLSStream.wrap(outer[1], ssl_context=server_config()),
        )
        data = os.urandom(500_000)
        results = await both(inner[0].send(data), read(inner[1], len(data)))
        assert results[1] == data
        await both(inner[0].aclose(), inner[1].aclose())

    run(backend, main)


@on_both_backends
def test_wrong_arguments_are_refused(backend: str) -> None:
    async def main() -> None:
        nothing: Any = StapledObjectStream[bytes](None, None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="a client needs the hostname"):
            await TLSStream.wrap(nothing)
        with pytest.raises(ValueError, match="server_side=True with a ClientConfig"):
            await TLSStream.wrap(nothing, ssl_context=client_config(), server_side=True)

    run(backend, main)


def test_the_context_of_ssl_is_not_a_configuration() -> None:
    wrong: Any = ssl.create_default_context()
    with pytest.raises(TypeError):
        new_object(wrong, "localhost")
