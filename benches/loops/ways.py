"""The TLS implementations: for each, an event loop and a context for its server."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, cast

from benches.bench import OURS, CaseRole

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    Factory = Callable[[], asyncio.AbstractEventLoop]

NATIVE, BY_BIO = f"{OURS} native", f"{OURS} wrap_bio"
FASTNET: Final = "aiofastnet"
ASYNCIO, UVLOOP = "asyncio", "uvloop"
LOOPS: Final = (ASYNCIO, UVLOOP)


@dataclass(frozen=True, slots=True)
class ServerWay:
    """A TLS implementation in an event loop."""

    role: CaseRole
    loop: str
    """The event loop: ``asyncio`` or ``uvloop``."""
    transport: str = ""
    """The package that replaces the loop's transports; empty if they are the loop's own."""
    context: str = "ssl"
    """The module whose ``SSLContext`` the server uses."""

    def factory(self) -> Factory:
        """Return the function that makes the loop."""
        return FACTORIES[self.transport](self.loop)

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """Return the context with the certificate of ``folder``."""
        module = import_module(self.context)
        context = cast("ssl.SSLContext", module.SSLContext(module.PROTOCOL_TLS_SERVER))
        context.load_cert_chain(folder / "both.pem")
        return context

    def why_missing(self, *needed: str) -> str:
        """Return why the case cannot run; empty if all packages are installed."""
        names = [*needed, self.loop, self.transport or self.context]
        absent = [name for name in dict.fromkeys(names) if find_spec(name) is None]
        return f"not installed (pip install {' '.join(absent)})" if absent else ""


def _of_loop(loop: str) -> Factory:
    factory: Factory = import_module(loop).new_event_loop
    return factory


def _of_fastnet(loop: str) -> Factory:
    factory: Factory = import_module(FASTNET).loop_factory(_of_loop(loop))
    return factory


def _of_ours(loop: str) -> Factory:
    module = import_module("ktls_fast.asyncio")
    factory: Factory = module.new_uvloop if loop == UVLOOP else module.new_event_loop
    return factory


FACTORIES: Final[dict[str, Callable[[str], Factory]]] = {
    "": _of_loop,
    FASTNET: _of_fastnet,
    "ktls_fast.asyncio": _of_ours,
}


def on(name: str, loop: str) -> str:
    """Return the name of an implementation on a loop."""
    return name if loop == ASYNCIO else f"{name}, {loop}"


WAYS: Final[dict[str, ServerWay]] = {
    **{
        on(NATIVE, loop): ServerWay(CaseRole.OURS, loop, transport="ktls_fast.asyncio")
        for loop in LOOPS
    },
    **{on(BY_BIO, loop): ServerWay(CaseRole.OURS, loop, context="ktls_fast.ssl") for loop in LOOPS},
    **{f"{loop} ssl": ServerWay(CaseRole.PEER, loop) for loop in LOOPS},
    **{on(FASTNET, loop): ServerWay(CaseRole.PEER, loop, transport=FASTNET) for loop in LOOPS},
}
"""The implementations by the names of their series."""
