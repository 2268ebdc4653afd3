"""Which connections the engine takes over from OpenSSL, and which stay."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import ktls_fast.asyncio as ours
from ktls_fast import KtlsError
from tests.asyncio_transport.streams import close, echo, exchange, port_of
from tests.asyncio_transport.support import (
    LoopFactory,
    Recorder,
    client_context,
    on_all_loops,
    run,
    server_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TLS12_SUITES = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
]


def only_tls12(suite: str) -> Callable[[ssl.SSLContext], None]:
    """Return a function that restricts a context to one suite of TLS 1.2."""

    def restrict(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)

    return restrict


def allow_later_authentication(context: ssl.SSLContext) -> None:
    """Let the server ask for a certificate after the handshake."""
    context.post_handshake_auth = True


async def backend_of(
    change: Callable[[ssl.SSLContext], None] | None, peer: Any, *, ours_serves: bool
) -> str:
    """Exchange data with a stock peer, and return what carried our records."""
    here, there = server_context(), client_context()
    if change is not None:
        change(here if ours_serves else there)
    backends: list[str | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backends.append(writer.get_extra_info("backend"))
        await echo(reader, writer)

    server = await (ours if ours_serves else peer).start_server(serve, "127.0.0.1", 0, ssl=here)
    reader, writer = await (peer if ours_serves else ours).open_connection(
        "127.0.0.1", port_of(server), ssl=there, server_hostname="localhost"
    )
    backends.append(writer.get_extra_info("backend"))
    await exchange(reader, writer)
    await close(server)
    return next(backend for backend in backends if backend is not None)


# A stock peer needs a stock loop.
STOCK: list[Any] = [asyncio.SelectorEventLoop]
both_sides = pytest.mark.parametrize("ours_serves", [True, False], ids=["server", "client"])


@pytest.mark.parametrize("factory", STOCK, ids=["asyncio"])
@both_sides
@pytest.mark.parametrize("suite", ["", *TLS12_SUITES])
def test_the_engine_carries_the_records(
    factory: LoopFactory, ours_serves: bool, suite: str
) -> None:
    async def main() -> None:
        change = only_tls12(suite) if suite else None
        assert await backend_of(change, asyncio, ours_serves=ours_serves) == "Connection"

    run(factory, main)


@pytest.mark.parametrize("factory", STOCK, ids=["asyncio"])
@both_sides
@pytest.mark.parametrize(
    "change",
    [allow_later_authentication, only_tls12("ECDHE-ECDSA-AES128-SHA256")],
    ids=["post-handshake authentication", "CBC"],
)
def test_what_cannot_be_taken_over_stays_with_openssl(
    factory: LoopFactory, ours_serves: bool, change: Callable[[ssl.SSLContext], None]
) -> None:
    async def main() -> None:
        assert await backend_of(change, asyncio, ours_serves=ours_serves) == "OpenSSLConnection"

    run(factory, main)


@on_all_loops
def test_openssl_carries_key_updates_and_a_slow_reader(factory: LoopFactory) -> None:
    async def main() -> None:
        receiver, context = Recorder(), server_context()
        context.post_handshake_auth = True
        server = await ours.create_server(lambda: receiver, "127.0.0.1", 0, ssl=context)
        transport, client = await ours.create_connection(
            Recorder,
            "127.0.0.1",
            port_of(server),
            ssl=client_context(),
            server_hostname="localhost",
        )
        await receiver.made.wait()
        receiver.transport.pause_reading()
        data = os.urandom(12 << 20)
        transport.write(data)
        ours_only: Any = transport
        updates = asyncio.create_task(ours_only.key_update(request_peer=True))
        receiver.transport.resume_reading()
        assert await receiver.received(len(data)) == data
        await updates
        with pytest.raises(KtlsError, match="OpenSSL carries the records"):
            await receiver.transport.key_update()
        receiver.transport.write(data)
        assert await client.received(len(data)) == data
        assert transport.get_extra_info("generation") == (1, 1)
        assert receiver.transport.get_extra_info("generation") is None
        transport.close()
        await client.lost.wait()
        assert (client.error, receiver.error) == (None, None)
        await close(server)

    run(factory, main)


@on_all_loops
def test_errors_of_the_engine_are_those_of_the_module_ssl(factory: LoopFactory) -> None:
    async def main() -> None:
        receiver = Recorder()
        server = await ours.create_server(lambda: receiver, "127.0.0.1", 0, ssl=server_context())
        transport, client = await ours.create_connection(
            Recorder,
            "127.0.0.1",
            port_of(server),
            ssl=client_context(),
            server_hostname="localhost",
        )
        await receiver.made.wait()
        # A record that does not authenticate.
        os.write(transport.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        await receiver.lost.wait()
        assert isinstance(receiver.error, ssl.SSLError)
        assert receiver.error.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
        await client.lost.wait()
        assert isinstance(client.error, ssl.SSLError)
        assert client.error.reason == "SSLV3_ALERT_BAD_RECORD_MAC"
        await close(server)

    run(factory, main)


@on_all_loops
def test_the_ssl_object_answers_questions_and_refuses_data(factory: LoopFactory) -> None:
    async def main() -> None:
        server = await ours.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        reader, writer = await ours.open_connection(
            "127.0.0.1", port_of(server), ssl=client_context(), server_hostname="localhost"
        )
        sslobject = writer.get_extra_info("ssl_object")
        assert sslobject.version() == "TLSv1.3"
        assert sslobject.getpeercert(True)
        with pytest.raises(ValueError, match="taken over"):
            sslobject.write(b"around the engine")
        await exchange(reader, writer, 1000)
        await close(server)

    run(factory, main)


@on_all_loops
@pytest.mark.parametrize("kept", [False, True], ids=["engine", "OpenSSL"])
def test_a_closed_connection_keeps_no_context(factory: LoopFactory, kept: bool) -> None:
    contexts: list[weakref.ref[ssl.SSLContext]] = []

    async def main() -> None:
        server = await ours.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        context = client_context()
        context.post_handshake_auth = kept
        contexts.append(weakref.ref(context))
        streams = await ours.open_connection(
            "127.0.0.1", port_of(server), ssl=context, server_hostname="localhost"
        )
        await exchange(*streams, 1000)
        await close(server)

    gc.disable()
    try:
        run(factory, main, collect=False)
        assert contexts[0]() is None
    finally:
        gc.enable()


@on_all_loops
def test_a_socket_of_another_class_stays_open(factory: LoopFactory) -> None:
    class OtherSocket(socket.socket):
        """As those of libraries for proxies."""

    async def main() -> None:
        server = await ours.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        sock = OtherSocket()
        sock.connect(("127.0.0.1", port_of(server)))
        sock.setblocking(False)
        reader, writer = await ours.open_connection(
            sock=sock, ssl=client_context(), server_hostname="localhost"
        )
        assert writer.get_extra_info("backend") == "Connection"
        del sock
        gc.collect()
        assert writer.get_extra_info("socket").fileno() >= 0
        await exchange(reader, writer)
        await close(server)

    run(factory, main)
