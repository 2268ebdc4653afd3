"""A server in its own process: ``python -m benches.loops.server WAY KIND SIZE FOLDER``.

It prints its port, and serves until its standard input ends. For each line of the input, it prints
how many connections the engine of ``ktls_fast`` has taken over.
"""

from __future__ import annotations

import asyncio
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from benches.loops.ways import WAYS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

HOST: Final = "127.0.0.1"


class EchoProtocol(asyncio.Protocol):
    """Returns each message of ``size`` bytes when it is complete."""

    def __init__(self, size: int) -> None:
        self._size = self._missing = size
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing == 0:
            assert self._transport is not None
            self._transport.writelines(self._parts)
            self._parts, self._missing = [], self._size


async def protocol(context: ssl.SSLContext, size: int) -> int:
    """Serve with protocols."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: EchoProtocol(size), HOST, 0, ssl=context)
    return _port(server)


async def streams(context: ssl.SSLContext, size: int) -> int:
    """Serve with streams."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readexactly(size))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return _port(await asyncio.start_server(echo, HOST, 0, ssl=context))


async def aiohttp(context: ssl.SSLContext, size: int) -> int:
    """Serve a body of ``size`` bytes with aiohttp."""
    web, body = import_module("aiohttp.web"), payload(size)

    async def respond(_: object) -> object:
        return web.Response(body=body)

    application = web.Application()
    application.router.add_get("/", respond)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=context)
    await site.start()
    port: int = runner.addresses[0][1]
    return port


KINDS: Final[dict[str, Callable[[ssl.SSLContext, int], Awaitable[int]]]] = {
    "streams": streams,
    "protocol": protocol,
    "aiohttp": aiohttp,
}


def payload(size: int) -> bytes:
    """Return the body of the responses, or a message."""
    return random.Random(size).randbytes(size)


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _serve(way: str, kind: str, size: int, folder: Path) -> None:
    port = await KINDS[kind](WAYS[way].server_context(folder), size)
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, _answer_questions)


def _answer_questions() -> None:
    for _ in sys.stdin:
        print(_taken_over(), flush=True)


def _taken_over() -> int:
    """Return the number of connections that OpenSSL has handed over in this process."""
    module = sys.modules.get("ktls_fast._handover.take_over")
    return module.hand_over_stat()["taken over"] if module else 0


def main() -> None:
    """Serve as the arguments specify."""
    way, kind, size, folder = sys.argv[1:]
    with asyncio.Runner(loop_factory=WAYS[way].factory()) as runner:
        runner.run(_serve(way, kind, int(size), Path(folder)))


if __name__ == "__main__":
    main()
