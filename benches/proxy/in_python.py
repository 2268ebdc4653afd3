"""A TLS proxy in Python, with ``ssl`` in the loop of asyncio or of uvloop.

``python -m benches.proxy.in_python asyncio|uvloop FOLDER PORT UPSTREAM_PORT``
"""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import cast

from benches import identity

HOST = "127.0.0.1"
ROOM = 1 << 18


class ForwardingProtocol(asyncio.BufferedProtocol):
    """One side of a connection, which forwards data to the other and pauses while it is full."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: ForwardingProtocol | None = None
        self._room = memoryview(bytearray(ROOM))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport, but have its methods.
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._room

    def buffer_updated(self, size: int) -> None:
        assert self.other is not None
        assert self.other.transport is not None
        # A transport may keep the data, but the buffer is reused.
        self.other.transport.write(bytes(self._room[:size]))

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class ClientProtocol(ForwardingProtocol):
    """The side of the client."""

    def __init__(self, upstream: int) -> None:
        super().__init__()
        self._upstream = upstream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(ForwardingProtocol, HOST, self._upstream)
        self.other.other = self
        assert self.transport is not None
        self.transport.resume_reading()


async def serve(folder: Path, port: int, upstream: int) -> None:
    """Serve until SIGTERM."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    context = identity.server_context(folder)
    async with await loop.create_server(lambda: ClientProtocol(upstream), HOST, port, ssl=context):
        await stopped.wait()


def main() -> None:
    """Serve in the loop that the arguments name."""
    loop, folder, port, upstream = sys.argv[1:]
    with asyncio.Runner(loop_factory=import_module(loop).new_event_loop) as runner:
        runner.run(serve(Path(folder), int(port), int(upstream)))


if __name__ == "__main__":
    main()
