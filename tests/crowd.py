"""Opens a thousand connections at once on one event loop: 500 in each direction.

``python -m tests.crowd DOOR FOLDER`` prints its port and reads the port of another such process
from its input. The two processes connect to each other, and each prints its result as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import ssl as stdlib_ssl
import sys
import threading
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.cpython import doors

if TYPE_CHECKING:
    from collections.abc import Callable

    LoopFactory = Callable[[], asyncio.AbstractEventLoop]

EACH_WAY: Final = 500
PATIENCE: Final = 100.0
TURNS_TO_CLOSE: Final = 10
DESCRIPTORS: Final = 4 * EACH_WAY


@dataclass(slots=True)
class CrowdResult:
    """The counts of the connections of one process, and its errors."""

    accepted: int = 0
    """The number of accepted connections whose message was received and returned."""
    answered: int = 0
    """The number of our connections whose message came back."""
    engine: int = 0
    """The number of connections that the engine has taken over."""
    threads: int = 0
    """The largest number of Python threads at a time."""
    left_open: int = 0
    """The number of descriptors that were not closed."""
    errors: list[str] = field(default_factory=list)
    """The contexts that the loop's exception handler received."""


@dataclass(frozen=True, slots=True)
class CrowdDoor:
    """The functions with which a process makes its loop and its contexts."""

    loop: str
    contexts: str = "ssl"

    def factory(self) -> LoopFactory:
        """Return the function that makes the loop."""
        module, _, name = self.loop.partition(":")
        factory: LoopFactory = getattr(import_module(module), name)
        return factory

    def server_context(self, folder: Path) -> stdlib_ssl.SSLContext:
        """Return the context of a server for ``localhost``."""
        module: Any = import_module(self.contexts)
        context: stdlib_ssl.SSLContext = module.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        return context

    def client_context(self, folder: Path) -> stdlib_ssl.SSLContext:
        """Return the context of a client that trusts the test authority."""
        module: Any = import_module(self.contexts)
        context: stdlib_ssl.SSLContext = module.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(folder / "roots.pem")
        return context


OPENSSL: Final = "openssl"
DOORS: Final = {
    OPENSSL: CrowdDoor("asyncio:new_event_loop"),
    "native": CrowdDoor("ktls_fast.asyncio:new_event_loop"),
    "native, uvloop": CrowdDoor("ktls_fast.asyncio:new_uvloop"),
    "wrap_bio": CrowdDoor("asyncio:new_event_loop", "ktls_fast.ssl"),
    "wrap_bio, uvloop": CrowdDoor("uvloop:new_event_loop", "ktls_fast.ssl"),
}


class Crowd:
    """One side: a server that answers once all clients have connected, and as many clients."""

    def __init__(self, door: CrowdDoor, folder: Path) -> None:
        self.result = CrowdResult()
        self._door, self._folder = door, folder
        self._all_here = asyncio.Event()
        self._here = 0
        self._served: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Serve and connect until all messages are returned."""
        server = await asyncio.start_server(
            self._serve,
            "127.0.0.1",
            0,
            ssl=self._door.server_context(self._folder),
            backlog=EACH_WAY,
            ssl_handshake_timeout=PATIENCE,
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        port = int(sys.stdin.readline())
        context = self._door.client_context(self._folder)
        await asyncio.gather(*(self._ask(port, context, number) for number in range(EACH_WAY)))
        while self.result.accepted < EACH_WAY:
            await asyncio.sleep(0.01)
        await asyncio.gather(*self._served)
        server.close()
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.append(task)
        message = await reader.readexactly(len(self._message(0)))
        self._here += 1
        if self._here == EACH_WAY:
            self._all_here.set()
        await self._all_here.wait()
        self.result.threads = max(self.result.threads, threading.active_count())
        writer.write(message)
        await writer.drain()
        assert await reader.read() == b""
        await _close(writer)
        self.result.accepted += 1

    async def _ask(self, port: int, context: stdlib_ssl.SSLContext, number: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=context,
            server_hostname="localhost",
            ssl_handshake_timeout=PATIENCE,
        )
        message = self._message(number)
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
        self.result.answered += 1
        await _close(writer)

    def _message(self, number: int) -> bytes:
        return b"%08d" % number * 256


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def main() -> None:
    """Run one side, and print its result."""
    name, folder = sys.argv[1:]
    door = DOORS[name]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    doors.count_connections()
    with asyncio.Runner(loop_factory=door.factory()) as runner:
        result = runner.run(asyncio.wait_for(_run(door, Path(folder)), PATIENCE))
    result.engine = doors.connections()
    print(json.dumps(asdict(result)), flush=True)


async def _run(door: CrowdDoor, folder: Path) -> CrowdResult:
    crowd = Crowd(door, folder)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: crowd.result.errors.append(repr(context)))
    before = _descriptors()
    await crowd.run()
    gc.collect()
    for _ in range(TURNS_TO_CLOSE):
        await asyncio.sleep(0)
    crowd.result.left_open = _descriptors() - before
    return crowd.result


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


if __name__ == "__main__":
    main()
