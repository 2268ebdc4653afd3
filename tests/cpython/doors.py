"""The front doors of this package, opened in a process before it imports the tests.

The tests construct ``ssl.SSLContext`` and event loops of asyncio by their names. A front door puts
its own classes in the places of these names.
"""

from __future__ import annotations

import asyncio
import ssl as stdlib_ssl
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import ktls_fast

if TYPE_CHECKING:
    from collections.abc import Callable

_count = 0


def connections() -> int:
    """Return the number of connections that the engine has taken over in this process."""
    return _count


def open_door(name: str, *, fault: bool = False) -> None:
    """Make the modules that are imported from now on use a front door.

    :param fault: exchange the keys of the two directions when the engine takes over a connection,
        so that no record can be opened.
    """
    count_connections(fault=fault)
    DOORS[name]()


def count_connections(*, fault: bool = False) -> None:
    """Count the connections that the engine takes over from now on; see :func:`open_door`."""
    for owner in ENGINES:
        _stand_in(owner, fault=fault)


def why_closed(name: str) -> str:
    """Return why a front door cannot be opened with this interpreter, or an empty string."""
    absent = [module for module in NEEDED[name] if not _exists(module)]
    return f"{' and '.join(absent)} cannot be imported" if absent else ""


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package
        return False


class CountedMeta(type):
    """The type of a class that stands in for another one, and counts what it creates."""

    stands_for: type

    def __instancecheck__(cls, instance: object) -> bool:
        """Return True for instances of the class itself."""
        return isinstance(instance, cls.stands_for)

    def __getattr__(cls, name: str) -> Any:
        """Return an attribute of the class itself."""
        return getattr(cls.stands_for, name)


def _stand_in(name: str, *, fault: bool) -> None:
    """Put a class in the place of one of the package, to count the calls of ``from_secrets``."""
    cls: Any = getattr(ktls_fast, name)

    def from_secrets(*arguments: Any, tx: Any, rx: Any, **options: Any) -> Any:
        global _count
        tx, rx = (rx, tx) if fault else (tx, rx)
        connection = cls.from_secrets(*arguments, tx=tx, rx=rx, **options)
        _count += 1
        return connection

    methods = {"stands_for": cls, "from_secrets": staticmethod(from_secrets)}
    stand_in = CountedMeta(name, (), methods)
    for module in (ktls_fast, ktls_fast._core):
        setattr(module, name, stand_in)


def _stdlib() -> None:
    """Change nothing."""


def _ssl() -> None:
    """Put the drop-in in the place of the module ``ssl``, for all that import it from now on."""
    module = import_module("ktls_fast.ssl")
    for name, value in vars(stdlib_ssl).items():
        vars(module).setdefault(name, value)  # private names, which the tests use
    sys.modules["ssl"] = module
    for name, importer in sys.modules.items():
        if name.startswith("asyncio.") and hasattr(importer, "ssl"):
            vars(importer)["ssl"] = module


def _asyncio() -> None:
    """Make asyncio's names of its selector loop create loops of this package."""
    module = import_module("ktls_fast.asyncio")
    _add_private_names(module.TLSTransport)
    _replace_loops(module.Loop)


class PausableProtocol:
    """Stands in for asyncio's SSLProtocol, which a test pauses to fill the queue of a transport.

    The queue is filled anyway, as the peer of that test reads late.
    """

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


def _add_private_names(transport: Any) -> None:
    """Add the private names of asyncio's transports that single lines of the tests use.

    Without them, the rest of these tests could not be run.
    """
    transport.__name__ = "SSLTransport"
    transport._ssl_protocol = PausableProtocol()
    transport._test__append_write_backlog = transport.write


def _uvloop() -> None:
    """Make asyncio's names of its selector loop create loops of uvloop."""
    _replace_loops(import_module("uvloop").Loop)
    _close_any_loop()


def _asyncio_on_uvloop() -> None:
    """Make asyncio's names of its selector loop create loops of uvloop with our transports."""
    _asyncio()
    _replace_loops(import_module("ktls_fast.asyncio").new_uvloop)
    _close_any_loop()


def _close_any_loop() -> None:
    """Let the tests close a loop without private names of the standard library's loops."""
    case: Any = import_module("test.test_asyncio.utils").TestCase
    case.close_loop = staticmethod(lambda loop: loop.close())


def _replace_loops(loop: Callable[..., asyncio.AbstractEventLoop]) -> None:
    unix: Any = import_module("asyncio.unix_events")
    unix._UnixDefaultEventLoopPolicy._loop_factory = staticmethod(loop)
    for name in ("SelectorEventLoop", "EventLoop"):
        if hasattr(asyncio, name):
            setattr(asyncio, name, loop)


ENGINES: Final = tuple(name for name in ("Connection", "TLSObject") if hasattr(ktls_fast, name))
"""The classes that take over a connection by its secrets."""
DOORS: Final[dict[str, Callable[[], None]]] = {
    "stdlib": _stdlib,
    "ssl": _ssl,
    "asyncio": _asyncio,
    "uvloop": _uvloop,
    "asyncio on uvloop": _asyncio_on_uvloop,
}
BASELINES: Final = {"ssl": "stdlib", "asyncio": "stdlib", "asyncio on uvloop": "uvloop"}
"""The door without this package with which the outcomes of each front door are compared."""
NEEDED: Final = {
    "stdlib": ("test.test_ssl", "test.test_asyncio"),
    "ssl": ("test.test_ssl", "ktls_fast.ssl"),
    "asyncio": ("test.test_asyncio", "ktls_fast.asyncio", "ktls_fast.ssl"),
    "asyncio on uvloop": ("test.test_asyncio", "ktls_fast.asyncio", "ktls_fast.ssl", "uvloop"),
}
"""The modules that each front door and its tests need."""
