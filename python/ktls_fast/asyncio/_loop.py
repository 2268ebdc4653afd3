"""Event loops whose ``ssl=`` arguments lead to the transports of this package."""

import asyncio
import socket
import weakref
from asyncio import base_events, selector_events, unix_events
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ._handshake import handshake_for
from ._start_tls import start_tls
from ._stdlib import SelectorLoop, TransportServer, ensure_unclaimed
from ._transport import TLSTransport

__all__ = ["Loop", "TLSLoopMixin", "adapt"]

base: Any = base_events.BaseEventLoop
selector: Any = selector_events.BaseSelectorEventLoop
unix: Any = unix_events.SelectorEventLoop


class TLSLoopMixin:
    """The methods of asyncio's selector loops that create TLS transports."""

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: object,
        waiter: asyncio.Future[None] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: TransportServer | None = None,
        **timeouts: Any,
    ) -> TLSTransport:
        ensure_unclaimed(true_loop(self), rawsock.fileno())
        handshake = handshake_for(
            rawsock, sslcontext, server_side=server_side, server_hostname=server_hostname
        )
        return TLSTransport(
            true_loop(self),
            protocol,
            handshake,
            waiter=waiter,
            extra=extra,
            server=server,
            **timeouts,
        )

    async def start_tls(
        self,
        transport: asyncio.BaseTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: object,
        **options: Any,
    ) -> asyncio.Transport | None:
        """Upgrade a transport to TLS; the parameters are those of the standard library.

        The socket of a TCP or Unix transport is taken over. TLS inside TLS, and transports of other
        packages, are left to the implementation of the loop.
        """
        loop: Any = true_loop(self)
        if isinstance(loop, SelectorLoop) or isinstance(transport, TLSTransport):
            stock = partial(base.start_tls, loop)
        else:
            stock = getattr(loop, "stock_start_tls", loop.start_tls)
        return await start_tls(loop, transport, protocol, sslcontext, stock, **options)


class Loop(TLSLoopMixin, asyncio.SelectorEventLoop):
    """The selector event loop of the standard library with TLS transports of this package."""


class LoopAdapter(TLSLoopMixin):
    """The methods of a loop of this package, for a loop of another class.

    The methods of asyncio's own loops run on the adapter; it forwards everything else to the loop.
    """

    create_connection = base.create_connection
    connect_accepted_socket = base.connect_accepted_socket
    sendfile = base.sendfile
    create_unix_connection = unix.create_unix_connection
    _create_connection_transport = base._create_connection_transport
    _accept_connection = selector._accept_connection
    _accept_connection2 = selector._accept_connection2
    _start_serving = selector._start_serving

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Adapt ``loop``, which must have ``add_reader`` and ``add_writer``."""
        self.adapted = weakref.proxy(loop)
        self.adapted_ref = weakref.ref(loop)

    async def create_server(self, *arguments: Any, **options: Any) -> "AdaptedServer":
        """Create a TCP server; the parameters are those of the standard library."""
        return adapted_server(await base.create_server(self, *arguments, **options))

    async def create_unix_server(self, *arguments: Any, **options: Any) -> "AdaptedServer":
        """Create a Unix server; the parameters are those of the standard library."""
        return adapted_server(await unix.create_unix_server(self, *arguments, **options))

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the adapted loop."""
        return getattr(self.adapted, name)


class ForeignLoopAdapter(LoopAdapter):
    """An adapter for loops that are not based on asyncio's, such as uvloop's."""

    _ensure_resolved = base._ensure_resolved
    _connect_sock = base._connect_sock
    _create_server_getaddrinfo = base._create_server_getaddrinfo
    _sendfile_fallback = base._sendfile_fallback
    # uvloop's own starts a pool of threads to resolve the address, which is resolved already.
    sock_connect = selector.sock_connect
    _sock_connect = selector._sock_connect
    _sock_connect_cb = selector._sock_connect_cb
    _sock_write_done = selector._sock_write_done

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Adapt ``loop``."""
        super().__init__(loop)
        self._unix_server_sockets: dict[socket.socket, int] = {}

    @property
    def _debug(self) -> bool:
        debug: bool = self.adapted.get_debug()
        return debug

    def _add_reader(self, fd: int, callback: Callable[..., Any], *arguments: Any) -> None:
        self.adapted.add_reader(fd, callback, *arguments)

    def _add_writer(self, fd: int, callback: Callable[..., Any], *arguments: Any) -> None:
        self.adapted.add_writer(fd, callback, *arguments)

    def _ensure_fd_no_transport(self, fd: int) -> None:
        """Do nothing: the loop itself checks its descriptors."""

    def _remove_reader(self, fd: int) -> None:
        self.adapted.remove_reader(fd)

    def _stop_serving(self, sock: socket.socket) -> None:
        inode = self._unix_server_sockets.pop(sock, None)
        path = sock.getsockname()
        self._remove_reader(sock.fileno())
        sock.close()
        if inode is not None:
            remove_unix_path(path, inode)


class AdaptedServer(base_events.Server):
    """A server whose sockets an adapter serves."""

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, not its adapter."""
        return true_loop(super().get_loop())


def adapted_server(server: Any) -> AdaptedServer:
    """Return the server that asyncio has created, which now knows its loop."""
    server.__class__ = AdaptedServer
    adapted: AdaptedServer = server
    return adapted


def remove_unix_path(path: str, inode: int) -> None:
    """Remove the path of a Unix socket, unless another socket has it now."""
    with suppress(FileNotFoundError):
        if Path(path).stat().st_ino == inode:
            Path(path).unlink()


adapters: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopAdapter]" = (
    weakref.WeakKeyDictionary()
)


def adapt(loop: asyncio.AbstractEventLoop) -> Any:
    """Return an object with the methods of a loop of this package for a loop of any class."""
    if isinstance(loop, TLSLoopMixin) and isinstance(loop, SelectorLoop):
        return loop
    adapter = adapters.get(loop)
    if adapter is None:
        make: Callable[[asyncio.AbstractEventLoop], LoopAdapter]
        make = LoopAdapter if isinstance(loop, SelectorLoop) else ForeignLoopAdapter
        adapter = adapters[loop] = make(loop)
    return adapter


def true_loop(loop: Any) -> asyncio.AbstractEventLoop:
    """Return a loop itself, also for an adapter."""
    found: asyncio.AbstractEventLoop | None
    found = loop.adapted_ref() if isinstance(loop, LoopAdapter) else loop
    if found is None:
        message = "the event loop is gone"
        raise RuntimeError(message)
    return found
