"""How transports end: by close, by the peer, by an error, and by abort."""

import asyncio
import os
import socket

import pytest

import ktls_fast.asyncio as ours
from ktls_fast import Connection
from tests.asyncio_transport.support import (
    LoopFactory,
    Recorder,
    adopted_pair,
    connection_pair,
    on_all_loops,
    run,
)

MIB = 1 << 20


@on_all_loops
def test_close_sends_everything_that_was_written(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        server.transport.pause_reading()
        data = os.urandom(12 * MIB)
        client.transport.write(data)
        client.transport.close()
        client.transport.write(b"too late")
        assert client.transport.is_closing()
        server.transport.resume_reading()
        await server.lost.wait()
        await client.lost.wait()
        assert bytes(server.data) == data
        assert server.calls == ["made", "eof", "lost"]
        assert (client.error, server.error) == (None, None)

    run(factory, main)


@on_all_loops
def test_data_of_a_peer_after_close_is_dropped_and_resets_nothing(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        data = os.urandom(2 * MIB)
        client.transport.write(data)
        client.transport.close()
        server.transport.write(os.urandom(2 * MIB))
        await server.lost.wait()
        await client.lost.wait()
        assert bytes(server.data) == data
        assert not client.data
        assert (client.error, server.error) == (None, None)

    run(factory, main)


@on_all_loops
def test_what_eof_received_writes_reaches_a_peer_that_has_half_closed(factory: LoopFactory) -> None:
    class Answer(Recorder):
        def eof_received(self) -> bool | None:
            self.transport.write(b"answer to " + bytes(self.data))
            return super().eof_received()

    async def main() -> None:
        ends = connection_pair()
        _, server = await ours.adopt_connection(Answer, ends[1])
        ends[0].sendall(b"question")
        ends[0].close_notify()
        got = await asyncio.to_thread(read_all, ends[0])
        assert got == b"answer to question"
        ends[0].close()
        await server.lost.wait()
        assert server.error is None

    run(factory, main)


def read_all(conn: Connection) -> bytes:
    """Read up to close_notify."""
    data = bytearray()
    while part := conn.recv(16 << 10):
        data += part
    return bytes(data)


@on_all_loops
def test_a_fin_without_close_notify_is_an_end_and_is_shown(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = connection_pair()
        _, server = await ours.adopt_connection(Recorder, ends[1])
        transport = server.transport
        ends[0].sendall(b"some")
        view = socket.socket(fileno=ends[0].fileno())
        view.shutdown(socket.SHUT_WR)
        view.detach()
        await server.lost.wait()
        assert server.calls == ["made", "eof", "lost"]
        assert server.error is None
        assert bytes(server.data) == b"some"
        assert transport.get_extra_info("truncated") is True
        ends[0].close()

    run(factory, main)


@on_all_loops
def test_a_reset_is_the_error_of_connection_lost(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = connection_pair()
        _, server = await ours.adopt_connection(Recorder, ends[1])
        reset(ends[0])
        await server.lost.wait()
        assert isinstance(server.error, ConnectionResetError)
        assert server.calls == ["made", "lost"]

    run(factory, main)


def reset(conn: Connection) -> None:
    """Close a connection with a reset."""
    view = socket.socket(fileno=conn.fileno())
    view.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    view.detach()
    conn.close()


@on_all_loops
def test_abort_loses_the_connection_once_and_at_once(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        server.transport.pause_reading()
        client.transport.write(bytes(12 * MIB))
        client.transport.abort()
        client.transport.abort()
        client.transport.close()
        assert client.calls[-1] != "lost"
        await client.lost.wait()
        assert client.error is None
        server.transport.resume_reading()
        await server.lost.wait()
        assert client.calls.count("lost") == server.calls.count("lost") == 1

    run(factory, main)


@on_all_loops
def test_a_peer_that_never_answers_close_ends_by_the_shutdown_timeout(
    factory: LoopFactory,
) -> None:
    async def main() -> None:
        ends = connection_pair()
        _, client = await ours.adopt_connection(Recorder, ends[0])
        client.transport._shutdown_timeout = 0.01
        client.transport.close()
        await client.lost.wait()
        assert isinstance(client.error, TimeoutError)
        assert str(client.error) == "SSL shutdown timed out"
        ends[1].close()

    run(factory, main)


@on_all_loops
def test_an_error_of_the_protocol_ends_the_connection(factory: LoopFactory) -> None:
    class Faulty(Recorder):
        def data_received(self, data: bytes) -> None:
            raise BlockingIOError(11, "of the protocol itself")

    async def main() -> None:
        client, server = await adopted_pair(server=Faulty)
        client.transport.write(b"x")
        await server.lost.wait()
        assert str(server.error) == "[Errno 11] of the protocol itself"
        await client.lost.wait()

    run(factory, main)


@on_all_loops
def test_a_transport_that_is_dropped_open_warns(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = connection_pair()
        transport, protocol = await ours.adopt_connection(Recorder, ends[0])
        transport.pause_reading()
        protocol.transport = None
        with pytest.warns(ResourceWarning, match="unclosed transport <TLSTransport open"):
            del transport
        ends[1].close()

    run(factory, main)
