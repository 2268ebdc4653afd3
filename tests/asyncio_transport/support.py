"""Loops, configurations and protocols for the tests of ``ktls_fast.asyncio``."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest

import ktls_fast
import ktls_fast.asyncio as ours
from ktls_fast import Connection, TrafficSecret
from tests.connection_delivery import eventually
from tests.peers.pki import pki

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

DEADLINE = 60.0
AES_256 = 0x1302


def stock_uvloop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop, or skip the test."""
    uvloop = pytest.importorskip("uvloop", exc_type=ImportError)
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def our_uvloop() -> asyncio.AbstractEventLoop:
    """Return our loop on uvloop, or skip the test."""
    pytest.importorskip("uvloop", exc_type=ImportError)
    return ours.new_uvloop()


OUR_LOOPS: dict[str, LoopFactory] = {"asyncio": ours.new_event_loop, "uvloop": our_uvloop}
STOCK_LOOPS: dict[str, LoopFactory] = {
    "stock-asyncio": asyncio.SelectorEventLoop,
    "stock-uvloop": stock_uvloop,
}
ALL_LOOPS = OUR_LOOPS | STOCK_LOOPS

on_our_loops = pytest.mark.parametrize("factory", OUR_LOOPS.values(), ids=OUR_LOOPS)
on_stock_loops = pytest.mark.parametrize("factory", STOCK_LOOPS.values(), ids=STOCK_LOOPS)
on_all_loops = pytest.mark.parametrize("factory", ALL_LOOPS.values(), ids=ALL_LOOPS)


def run(
    factory: LoopFactory, main: Callable[[], Coroutine[Any, Any, T]], *, collect: bool = True
) -> T:
    """Run ``main`` on a new loop within the deadline.

    Fail if the loop had to report an exception, such as one of a task that nobody has retrieved,
    or if sockets are left open.
    """
    wait_once()
    before = open_sockets()
    reports: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: reports.append(context))
        result = runner.run(asyncio.wait_for(main(), DEADLINE))
        runner.run(asyncio.sleep(0))
        if collect:
            gc.collect()
        runner.run(asyncio.sleep(0))
    assert reports == []
    assert eventually(lambda: open_sockets() <= before)
    return result


BACKGROUND = {"ktls-send"}
"""The thread that finishes closes, which any connection may start."""


def threads() -> set[str]:
    """Return the names of the threads of this process."""
    names = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            names.add((task / "comm").read_text().strip())
    return names


@cache
def wait_once() -> None:
    """Let a connection wait: the first one opens two sockets that the process keeps."""
    for conn in (ends := connection_pair()):
        conn.settimeout(0.01)
    with pytest.raises(TimeoutError):
        ends[0].read()
    for conn in ends:
        conn.close()


def open_sockets() -> int:
    """Return the number of open sockets of this process."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count


def server_context() -> ssl.SSLContext:
    """Return a context of the standard library for a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as name:
        folder = Path(name)
        pki().write_to(folder)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def client_context() -> ssl.SSLContext:
    """Return a context of the standard library for a client that trusts the authority."""
    return ssl.create_default_context(cadata=pki().roots.decode())


def server_config(**options: Any) -> ktls_fast.ServerConfig:
    """Return a configuration for a server whose handshakes rustls does."""
    return ktls_fast.ServerConfig(pki().server.cert, pki().server.key, **options)


def client_config(**options: Any) -> ktls_fast.ClientConfig:
    """Return a configuration for a client whose handshakes rustls does."""
    return ktls_fast.ClientConfig(pki().roots, **options)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def connection_pair(**options: Any) -> tuple[Connection, Connection]:
    """Return the two ends of a TLS connection, client first."""
    client, server = tcp_pair()
    up, down = (TrafficSecret(AES_256, os.urandom(48)) for _ in range(2))
    return (
        Connection.from_secrets(client, server_side=False, tx=up, rx=down, **options),
        Connection.from_secrets(server, server_side=True, tx=down, rx=up, **options),
    )


class Recorder(asyncio.Protocol):
    """A protocol that notes each of its calls, and the data."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.error: BaseException | None = None
        self.made = asyncio.Event()
        self.lost = asyncio.Event()
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()
        self.ended = asyncio.Event()
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")
        self.transport = transport
        self.made.set()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._news.set()

    def eof_received(self) -> bool | None:
        self.calls.append("eof")
        self.ended.set()
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.error = exc
        self.lost.set()
        self._news.set()

    def pause_writing(self) -> None:
        self.calls.append("pause")
        self.resumed.clear()
        self.paused.set()

    def resume_writing(self) -> None:
        self.calls.append("resume")
        self.paused.clear()
        self.resumed.set()

    async def received(self, count: int) -> bytes:
        """Wait until ``count`` bytes have come, or the connection is lost; return them."""
        while len(self.data) < count and not self.lost.is_set():
            self._news.clear()
            await self._news.wait()
        return bytes(self.data)


class Echo(Recorder):
    """A protocol that sends everything back, and stops reading while it cannot."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.transport.resume_reading()


class BufferedEcho(asyncio.BufferedProtocol):
    """An echo that receives into a buffer of its own."""

    def __init__(self, size: int = 1000) -> None:
        self.buffer = bytearray(size)
        self.transport: Any = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(memoryview(self.buffer)[:nbytes])

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set()


async def adopted_pair(
    client: Callable[[], Any] = Recorder, server: Callable[[], Any] = Recorder, **options: Any
) -> tuple[Any, Any]:
    """Return the protocols of two transports that are connected, client first."""
    ends = connection_pair(**options)
    _, first = await ours.adopt_connection(client, ends[0])
    _, second = await ours.adopt_connection(server, ends[1])
    return first, second


async def turns(count: int = 5) -> None:
    """Let the loop run for some turns."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until ``holds`` returns True."""
    while not holds():
        await asyncio.sleep(0.001)


async def close_both(*protocols: Recorder) -> None:
    """Close the first end, and wait until both have ended without an error."""
    protocols[0].transport.close()
    for protocol in protocols:
        await protocol.lost.wait()
        assert protocol.error is None


Served = Callable[[], Awaitable[None]]
