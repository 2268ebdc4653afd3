"""Transports over connections whose handshake is done: data and flow control."""

import asyncio
import os
import socket
from typing import Any

import pytest

import ktls_fast.asyncio as ours
from tests.asyncio_transport.support import (
    BufferedEcho,
    Echo,
    LoopFactory,
    Recorder,
    adopted_pair,
    close_both,
    connection_pair,
    on_all_loops,
    run,
    turns,
    until,
)

MIB = 1 << 20


@on_all_loops
@pytest.mark.parametrize("size", [1, 100, 16 << 10, (64 << 10) + 1, 3 * MIB])
def test_an_echo_is_byte_exact(factory: LoopFactory, size: int) -> None:
    async def main() -> None:
        client, server = await adopted_pair(server=Echo)
        data = os.urandom(size)
        client.transport.write(data)
        assert await client.received(size) == data
        await close_both(client, server)
        assert client.calls[0] == "made"
        assert client.calls[-2:] == ["eof", "lost"]

    run(factory, main)


@on_all_loops
@pytest.mark.parametrize("buffer", [1, 1000, 256 << 10])
def test_a_buffered_protocol_receives_into_its_own_buffer(
    factory: LoopFactory, buffer: int
) -> None:
    async def main() -> None:
        client, server = await adopted_pair(server=lambda: BufferedEcho(buffer))
        data = os.urandom(100 * buffer if buffer < MIB // 10 else 2 * MIB)
        client.transport.write(data)
        assert await client.received(len(data)) == data
        client.transport.close()
        await server.lost.wait()
        await client.lost.wait()

    run(factory, main)


@on_all_loops
def test_writelines_sends_small_parts_in_one_record(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = connection_pair()
        _, client = await ours.adopt_connection(Recorder, ends[0])
        _, server = await ours.adopt_connection(Recorder, ends[1])
        client.transport.writelines([b"head", bytearray(b"er"), memoryview(b"s")])
        assert await server.received(7) == b"headers"
        assert ends[0].records_sent == 1
        await close_both(client, server)

    run(factory, main)


@on_all_loops
def test_writelines_sends_large_parts_in_order(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        parts = [os.urandom(size) for size in (1, 300_000, 7, 900_000, 2 * MIB)]
        client.transport.writelines(parts)
        assert await server.received(sum(map(len, parts))) == b"".join(parts)
        await close_both(client, server)

    run(factory, main)


@on_all_loops
def test_a_buffer_may_be_changed_after_write(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        data = bytearray(os.urandom(8 * MIB))
        expected = bytes(data)
        server.transport.pause_reading()
        client.transport.write(data)
        data[:] = bytes(len(data))
        server.transport.resume_reading()
        assert await server.received(len(expected)) == expected
        await close_both(client, server)

    run(factory, main)


@on_all_loops
def test_a_slow_reader_pauses_the_writer_and_gets_everything(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        server.transport.pause_reading()
        chunk = os.urandom(MIB)
        sent = 0
        while not client.paused.is_set():
            client.transport.write(chunk)
            sent += 1
            await turns(1)
        low, high = client.transport.get_write_buffer_limits()
        assert client.transport.get_write_buffer_size() > high > low
        assert not server.data
        server.transport.resume_reading()
        await client.resumed.wait()
        assert client.transport.get_write_buffer_size() <= low
        assert await server.received(sent * MIB) == chunk * sent
        await close_both(client, server)
        assert client.calls == ["made", "pause", "resume", "eof", "lost"]

    run(factory, main)


@on_all_loops
def test_the_write_limits_count_sealed_bytes(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = connection_pair()
        _, client = await ours.adopt_connection(Recorder, ends[0])
        _, server = await ours.adopt_connection(Recorder, ends[1])
        server.transport.pause_reading()
        while not client.transport.get_write_buffer_size():
            client.transport.write(bytes(MIB))
            await turns(1)
        sealed = ends[0].unsent
        assert sealed > 0
        assert client.transport.get_write_buffer_size() == client.transport._queued + sealed
        client.transport.set_write_buffer_limits(0)
        assert client.paused.is_set()
        server.transport.resume_reading()
        await client.resumed.wait()
        assert client.transport.get_write_buffer_size() == 0
        await close_both(client, server)

    run(factory, main)


@on_all_loops
def test_pausing_within_data_received_stops_delivery(factory: LoopFactory) -> None:
    class OneAtATime(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()
            assert not self.transport.is_reading()

    async def main() -> None:
        client, server = await adopted_pair(server=OneAtATime)
        data = os.urandom(MIB)
        client.transport.write(data)
        while len(server.data) < len(data):
            await until(lambda: not server.transport.is_reading())
            seen = len(server.data)
            await turns()
            assert len(server.data) == seen
            server.transport.resume_reading()
        assert bytes(server.data) == data
        await close_both(client, server)

    run(factory, main)


@on_all_loops
def test_key_updates_are_under_way_in_both_directions(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair(server=Echo, rekey_interval=0.0)
        sent = bytearray()
        for turn in range(20):
            part = os.urandom(60_000)
            client.transport.write(part)
            sent += part
            end: Any = (client, server)[turn % 2]
            await end.transport.key_update(request_peer=turn % 4 == 0)
        assert await client.received(len(sent)) == sent
        generations = client.transport.get_extra_info("generation")
        assert min(generations) >= 10
        assert server.transport.get_extra_info("generation") == generations[::-1]
        await close_both(client, server)

    run(factory, main)


@on_all_loops
def test_key_update_waits_for_room_and_fails_after_the_end(factory: LoopFactory) -> None:
    async def main() -> None:
        ends = connection_pair()
        _, client = await ours.adopt_connection(Recorder, ends[0])
        _, server = await ours.adopt_connection(Recorder, ends[1])
        server.transport.pause_reading()
        while not ends[0].unsent:
            client.transport.write(bytes(MIB))
        update = asyncio.create_task(client.transport.key_update())
        await turns()
        assert not update.done()
        server.transport.resume_reading()
        await update
        second = asyncio.create_task(client.transport.key_update())
        client.transport.abort()
        with pytest.raises(BrokenPipeError):
            await second
        await server.lost.wait()
        with pytest.raises(BrokenPipeError):
            await client.transport.key_update()

    run(factory, main)


@on_all_loops
def test_extra_info_shows_the_socket_while_it_is_open(factory: LoopFactory) -> None:
    async def main() -> None:
        client, server = await adopted_pair()
        info = client.transport.get_extra_info
        assert info("peername") == server.transport.get_extra_info("sockname")
        assert info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert info("cipher") == "TLS_AES_256_GCM_SHA384"
        assert info("truncated") is False
        assert info("no such thing", 5) == 5
        await close_both(client, server)
        assert info("socket").fileno() == -1

    run(factory, main)
