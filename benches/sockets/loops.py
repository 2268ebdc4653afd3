"""Ends in an event loop: ``ssl`` in asyncio, in uvloop, and with the transports of aiofastnet.

Both ends are buffered protocols, which are the fastest interface of a loop.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benches import identity
from benches.identity import SUITE
from benches.sockets.plan import BUFFER_SIZE, CHECKED, GO, HOST, PATIENCE, CostMeter, TransferCost

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.sockets.plan import TransferPlan

    Factory = Callable[[], asyncio.AbstractEventLoop]


class TransferProtocol(asyncio.BufferedProtocol):
    """One end of a transfer, which counts the data received and pauses while it cannot write."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.made: asyncio.Future[asyncio.Transport] = _future()
        self._room = memoryview(bytearray(BUFFER_SIZE))
        self._keeps = True
        self._awaited = 0
        self._arrived: asyncio.Future[None] = _future()
        self._writable = asyncio.Event()
        self._writable.set()

    def expect(self, size: int, *, keep: bool) -> asyncio.Future[None]:
        """Return a future for the arrival of ``size`` bytes.

        It must be called before the peer may send them. With ``keep``, the data is kept.
        """
        self._awaited, self._keeps, self._arrived = size, keep, _future()
        return self._arrived

    async def write_all(self, data: bytes, count: int) -> None:
        """Write ``data`` ``count`` times, as fast as the transport accepts it."""
        transport = await self.made
        for _ in range(count):
            transport.write(data)
            if not self._writable.is_set():
                await self._writable.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        chosen = transport.get_extra_info("cipher")
        assert chosen[0] == SUITE, f"ssl chose {chosen[0]}, not {SUITE}"
        self.made.set_result(cast("asyncio.Transport", transport))

    def connection_lost(self, _: Exception | None) -> None:
        if not self._arrived.done():
            self._arrived.set_exception(ConnectionError(f"end with {self._awaited} bytes to come"))

    def get_buffer(self, _: int) -> memoryview:
        return self._room

    def buffer_updated(self, size: int) -> None:
        if self._keeps:
            self.received += self._room[:size]
        self._awaited -= size
        if self._awaited == 0:
            self._arrived.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


def transfer(plan: TransferPlan, factory: Callable[[], Factory]) -> TransferCost:
    """Run one end of a transfer in a loop of the factory that ``factory`` returns."""
    part = _send if plan.role == "send" else _receive
    with asyncio.Runner(loop_factory=factory()) as runner:
        return runner.run(asyncio.wait_for(part(plan), PATIENCE))


async def _send(plan: TransferPlan) -> TransferCost:
    context = identity.client_context(Path(plan.folder))
    _, flow = await asyncio.get_running_loop().create_connection(
        TransferProtocol, HOST, plan.port, ssl=context, server_hostname="localhost"
    )
    answer = flow.expect(len(GO), keep=False)
    await flow.write_all(CHECKED, 1)
    await answer
    answer, meter = flow.expect(len(GO), keep=False), CostMeter()
    await flow.write_all(plan.message, plan.count)
    await answer
    return meter.cost()


async def _receive(plan: TransferPlan) -> TransferCost:
    flow = TransferProtocol()
    checked = flow.expect(len(CHECKED), keep=True)
    context = identity.server_context(Path(plan.folder))
    server = await asyncio.get_running_loop().create_server(lambda: flow, HOST, 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await checked
    assert flow.received == CHECKED, f"{plan.way}: wrong bytes"
    rest, meter = flow.expect(plan.size * plan.count, keep=False), CostMeter()
    await flow.write_all(GO, 1)
    await rest
    cost = meter.cost()
    await flow.write_all(GO, 1)
    # The answer has to be sent before the loop ends.
    (await flow.made).close()
    server.close()
    await asyncio.sleep(0)
    return cost


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _asyncio() -> Factory:
    return asyncio.new_event_loop


def _uvloop() -> Factory:
    factory: Factory = import_module("uvloop").new_event_loop
    return factory


def _aiofastnet() -> Factory:
    """Return the factory for aiofastnet on the loop of uvloop, which its authors recommend."""
    factory: Factory = import_module("aiofastnet").loop_factory(_uvloop())
    return factory


WAYS = {
    "asyncio ssl": partial(transfer, factory=_asyncio),
    "uvloop ssl": partial(transfer, factory=_uvloop),
    "aiofastnet": partial(transfer, factory=_aiofastnet),
}
MODULES = {"uvloop ssl": ("uvloop",), "aiofastnet": ("aiofastnet", "uvloop")}
