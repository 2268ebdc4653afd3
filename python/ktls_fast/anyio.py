"""TLS for the byte streams and listeners of anyio, on asyncio and on trio.

:class:`TLSStream` and :class:`TLSListener` have the shape of the classes in ``anyio.streams.tls``,
with a :class:`ktls_fast.ServerConfig` or :class:`ktls_fast.ClientConfig` in the place of the SSL
context. A context of :mod:`ktls_fast.ssl` works with anyio's own classes. Importing this module
needs the package anyio.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

import anyio
from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    WouldBlock,
    aclose_forcefully,
)
from anyio.abc import AnyByteStream, ByteStream, Listener, TaskGroup
from anyio.streams.tls import TLSAttribute

from ._core import ClientConfig, ServerConfig, TLSObject
from ._trio_stream import TrioStream
from .errors import TruncatedError, WantReadError

__all__ = ["TLSListener", "TLSStream", "TrioStream"]

MAX_RECEIVED = 1 << 16
MAX_SENT = 256 << 10
"""Bytes that are sealed at a time; the transport has taken them before more are."""


class TLSStream(ByteStream):
    """A TLS connection over a byte stream. One task may receive while another one sends.

    Use :meth:`wrap`; the constructor takes a :class:`ktls_fast.TLSObject`, for example of
    :meth:`ktls_fast.TLSObject.from_secrets`, and performs no handshake.
    """

    def __init__(
        self, transport_stream: AnyByteStream, tls: TLSObject, *, standard_compatible: bool = True
    ) -> None:
        """Carry the records of ``tls`` over ``transport_stream``."""
        self.transport_stream = transport_stream
        self.standard_compatible = standard_compatible
        self.tls = tls
        self._server_side: bool | None = None
        self._sending = anyio.Lock()
        self._is_broken = self._is_closed = False

    @classmethod
    async def wrap(
        cls,
        transport_stream: AnyByteStream,
        *,
        ssl_context: ServerConfig | ClientConfig | None = None,
        server_side: bool | None = None,
        hostname: str | None = None,
        standard_compatible: bool = True,
    ) -> Self:
        """Perform the handshake and return the stream.

        :param ssl_context: the default is a client that trusts the root certificates of the system.
        :param server_side: not needed: the class of the configuration decides.
        :param hostname: the name that the server's certificate must prove.
        :param standard_compatible: if False, close without close_notify, and accept that the peer
            does the same.
        :raises ktls_fast.HandshakeError: the handshake failed; the text says why.
        :raises anyio.BrokenResourceError: the transport has failed.
        :raises ValueError: a client without ``hostname``.
        """
        config = ssl_context or ClientConfig()
        is_server = isinstance(config, ServerConfig)
        if server_side is not None and server_side != is_server:
            message = f"server_side={server_side} with a {type(config).__name__}"
            raise ValueError(message)
        stream = cls(
            transport_stream, new_object(config, hostname), standard_compatible=standard_compatible
        )
        stream._server_side = is_server
        await stream._repeat(stream.tls.do_handshake)
        await stream._answer()
        return stream

    async def receive(self, max_bytes: int = MAX_RECEIVED) -> bytes:
        """Return up to ``max_bytes`` bytes of application data.

        :raises anyio.EndOfStream: the peer has sent close_notify.
        :raises anyio.BrokenResourceError: the transport has failed, or has ended without
            close_notify.
        """
        if max_bytes < 1:
            message = "max_bytes must be a positive integer"
            raise ValueError(message)
        data: bytes = await self._repeat(self.tls.read, max_bytes)
        if not data:
            raise EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Send all of ``item``."""
        self._check()
        view = memoryview(item).cast("B")
        for start in range(0, len(view), MAX_SENT):
            await self._seal(self.tls.write, view[start : start + MAX_SENT])

    async def send_eof(self) -> None:
        """Send close_notify: no more data will be sent; receiving continues."""
        self._check()
        await self._seal(self.tls.close_notify)

    async def key_update(self, request_peer: bool = False) -> None:
        """Send a KeyUpdate and use our next key (RFC 8446 §4.6.3)."""
        self._check()
        await self._seal(self.tls.key_update, request_peer)

    async def unwrap(self) -> tuple[AnyByteStream, bytes]:
        """Exchange close_notify; return the transport, and bytes that were received behind it."""
        await self.send_eof()
        while await self._repeat(self.tls.read, MAX_RECEIVED):
            pass  # data that the peer sent before it learned of the end
        self._is_closed = True
        return self.transport_stream, self.tls.leftover()

    async def aclose(self) -> None:
        """Send close_notify, and close the transport."""
        if self._is_closed:
            return
        try:
            if self.standard_compatible and not self._is_broken:
                await self.send_eof()
        except BaseException:
            await aclose_forcefully(self.transport_stream)
            raise
        finally:
            self._is_closed = True
        await self.transport_stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the transport, and most of ``anyio.streams.tls.TLSAttribute``."""
        return {
            **self.transport_stream.extra_attributes,
            TLSAttribute.alpn_protocol: lambda: self.tls.alpn,
            TLSAttribute.peer_certificate_binary: self._peer_certificate,
            TLSAttribute.server_side: lambda: self._server_side,
            TLSAttribute.standard_compatible: lambda: self.standard_compatible,
            TLSAttribute.tls_version: lambda: self.tls.version,
        }

    def _peer_certificate(self) -> bytes | None:
        chain = self.tls.peer_certificates
        return chain[0] if chain else None

    def _check(self) -> None:
        if self._is_closed:
            raise ClosedResourceError
        if self._is_broken:
            raise BrokenResourceError

    async def _seal(self, method: Callable[..., Any], *arguments: object) -> None:
        """Call a method that seals records, and send them."""
        # Under the lock, so that a slow transport bounds what is sealed ahead of it.
        async with self._sending:
            self._check()  # a task in front of us may have failed
            method(*arguments)
            await self._send_sealed()

    async def _answer(self) -> None:
        """Send what the peer has caused, unless a sender is at work: it will send that too.

        A receiver must not wait for the sender, which may itself wait until we receive.
        """
        if self.tls.unsent:
            try:
                self._sending.acquire_nowait()
            except WouldBlock:
                return
            try:
                await self._send_sealed()
            finally:
                self._sending.release()

    async def _send_sealed(self) -> None:
        try:
            while data := self.tls.data_to_send():
                await self.transport_stream.send(data)
        except BaseException:
            # Some of the records may be lost, and the peer cannot open those behind them.
            self._is_broken = True
            raise

    async def _repeat(self, method: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        """Call a method until it has the bytes of the peer that it needs."""
        self._check()
        while True:
            try:
                result = method(*arguments)
            except WantReadError:
                await self._answer()
                await self._receive_sealed()
            except TruncatedError as exc:
                if not self.standard_compatible:
                    raise EndOfStream from None
                self._is_broken = True
                raise BrokenResourceError from exc
            except OSError:
                # The alert, if the peer still takes it.
                with suppress(BrokenResourceError, ClosedResourceError, OSError):
                    await self._answer()
                self._is_broken = True
                raise
            else:
                # Without a wait, in which a cancellation would lose the result. The answer to a
                # KeyUpdate leaves with the next call.
                return result

    async def _receive_sealed(self) -> None:
        try:
            self.tls.receive(await self.transport_stream.receive())
        except EndOfStream:
            self.tls.receive_eof()


class TLSListener(Listener[TLSStream]):
    """A listener that performs the handshake on each connection of another listener."""

    def __init__(
        self,
        listener: Listener[Any],
        ssl_context: ServerConfig,
        *,
        standard_compatible: bool = True,
        handshake_timeout: float = 30.0,
    ) -> None:
        """Wrap ``listener``.

        :param ssl_context: the configuration of all connections.
        :param standard_compatible: see :meth:`TLSStream.wrap`.
        :param handshake_timeout: seconds for each handshake.
        """
        self.listener = listener
        self.ssl_context = ssl_context
        self.standard_compatible = standard_compatible
        self.handshake_timeout = handshake_timeout

    async def serve(
        self, handler: Callable[[TLSStream], Any], task_group: TaskGroup | None = None
    ) -> None:
        """Call ``handler`` with the stream of each connection whose handshake succeeds."""

        async def shake(transport: AnyByteStream) -> None:
            try:
                with anyio.fail_after(self.handshake_timeout):
                    stream = await TLSStream.wrap(
                        transport,
                        ssl_context=self.ssl_context,
                        standard_compatible=self.standard_compatible,
                    )
            except BaseException as exc:
                await self.handle_handshake_error(exc, transport)
            else:
                await handler(stream)

        await self.listener.serve(shake, task_group)

    @staticmethod
    async def handle_handshake_error(exc: BaseException, stream: AnyByteStream) -> None:
        """Close the transport, log an ``Exception``, and raise anything else again."""
        await aclose_forcefully(stream)
        if not isinstance(exc, Exception):
            raise exc
        logging.getLogger(__name__).warning("error during TLS handshake", exc_info=exc)

    async def aclose(self) -> None:
        """Close the listener."""
        await self.listener.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the wrapped listener, and ``TLSAttribute.standard_compatible``."""
        return {
            **self.listener.extra_attributes,
            TLSAttribute.standard_compatible: lambda: self.standard_compatible,
        }


def new_object(config: ServerConfig | ClientConfig, hostname: str | None) -> TLSObject:
    """Return a connection before its handshake."""
    if isinstance(config, ServerConfig):
        return TLSObject.server(config)
    if not hostname:
        message = "a client needs the hostname that the server's certificate must prove"
        raise ValueError(message)
    return TLSObject.client(config, hostname)
