"""A receiver of ``ktls_fast.anyio`` neither waits for a sender nor loses data to a cancellation."""

from __future__ import annotations

from typing import Any

import pytest

anyio = pytest.importorskip("anyio")
pytest.importorskip("trio")

from ktls_fast.anyio import TLSStream  # noqa: E402
from tests.asyncio_transport.support import client_config, server_config  # noqa: E402
from tests.test_anyio import both, on_both_backends, read, run, tcp_pair  # noqa: E402


class GatedStream:
    """A transport whose peer does not read while the gate is closed."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401
        self._stream = stream
        self.is_sending = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()

    async def send(self, data: bytes) -> None:
        self.is_sending.set()
        await self.gate.wait()
        await self._stream.send(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401, D105
        return getattr(self._stream, name)

    def close_gate(self) -> None:
        self.gate, self.is_sending = anyio.Event(), anyio.Event()


async def gated_pair() -> tuple[TLSStream, TLSStream, GatedStream]:
    """Return client and server, and the transport of the server."""
    client, server = await tcp_pair()
    gated: Any = GatedStream(server)
    ends = await both(
        TLSStream.wrap(client, ssl_context=client_config(), hostname="localhost"),
        TLSStream.wrap(gated, ssl_context=server_config()),
    )
    return ends[0], ends[1], gated


@on_both_backends
def test_data_is_received_while_a_sender_waits_and_the_answer_follows(backend: str) -> None:
    async def main() -> None:
        client, server, transport = await gated_pair()
        transport.close_gate()
        async with anyio.create_task_group() as group:
            group.start_soon(server.send, b"from the server")
            await transport.is_sending.wait()
            await client.key_update(request_peer=True)
            await client.send(b"from the client")
            assert await read(server, 15) == b"from the client"
            transport.gate.set()
        assert await read(client, 15) == b"from the server"
        await server.send(b"next")
        assert await read(client, 4) == b"next"
        assert client.tls.rx_generation == 1
        await both(*(anyio.aclose_forcefully(end) for end in (client, server)))

    run(backend, main)


@on_both_backends
def test_a_cancelled_receive_loses_no_data_behind_a_request(backend: str) -> None:
    async def main() -> None:
        client, server, _ = await gated_pair()
        received = bytearray()
        for number in range(20):
            await client.key_update(request_peer=True)
            await client.send(b"%03d" % number)
            with anyio.CancelScope() as scope:
                scope.cancel()
                received += await server.receive()
        while len(received) < 60:
            received += await server.receive()
        assert received == b"".join(b"%03d" % number for number in range(20))
        await both(*(anyio.aclose_forcefully(end) for end in (client, server)))

    run(backend, main)
