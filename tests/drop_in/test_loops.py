"""Stock event loops with a context of ours: asyncio and uvloop."""

import asyncio
import ssl as stdlib_ssl
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

from ktls_fast import ssl
from tests.drop_in.contexts import TLS12, TLS13, VERSIONS, Contexts
from tests.peers.bio import BioClient, bytewise, whole
from tests.peers.support import start

LOOPS = [
    "asyncio",
    pytest.param(
        "uvloop",
        marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed"),
    ),
]
MODULES = pytest.mark.parametrize("module", [ssl, stdlib_ssl], ids=["ours", "stdlib"])
PATIENCE = 60


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Return a function that runs a coroutine on a loop."""

    def run_on(coroutine: Coroutine[Any, Any, Any]) -> Any:
        factory = None
        if request.param == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(coroutine, PATIENCE))

    return run_on


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(context: stdlib_ssl.SSLContext, handler: Any = echo) -> tuple[Any, int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("version", VERSIONS)
@MODULES
def test_streams_echo(
    contexts: Contexts, run: Any, version: stdlib_ssl.TLSVersion, module: ModuleType
) -> None:
    async def main() -> None:
        server, port = await serve(contexts.server(version, module))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=contexts.client(version), server_hostname="localhost"
        )
        tls = writer.get_extra_info("ssl_object")
        assert tls.generation == (0, 0)
        for size in (1, 20_000, 1_000_000):
            writer.write(b"e" * size)
            assert await reader.readexactly(size) == b"e" * size
        writer.close()
        await writer.wait_closed()
        server.close()

    run(main())


@pytest.mark.parametrize("cut", [whole, bytewise])
@pytest.mark.parametrize("stays_with_openssl", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_data_and_close_notify_behind_the_finished_are_delivered(
    contexts: Contexts,
    run: Any,
    cut: Any,
    version: stdlib_ssl.TLSVersion,
    stays_with_openssl: bool,
) -> None:
    """The bytes behind the Finished, and an end behind data, in one segment."""
    context = contexts.server(version, post_handshake_auth=stays_with_openssl)

    def client(port: int) -> None:
        bio = BioClient(port, contexts.client(version, stdlib_ssl), cut)
        with bio.sock:
            bio.send(bio.sealed(b"early data") + bio.close_notify())
            while bio.sock.recv(65536):
                pass

    async def main() -> bytes:
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.set_result(await reader.read())
            writer.close()

        server, port = await serve(context, handle)
        sending = asyncio.wrap_future(start(lambda: client(port)))
        data = await received
        await sending
        server.close()
        return data

    assert run(main()) == b"early data"


def test_the_answer_to_a_key_update_is_sent_without_writing(contexts: Contexts, run: Any) -> None:
    async def main() -> None:
        server, port = await serve(contexts.server())
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=contexts.client(), server_hostname="localhost"
        )
        tls = writer.get_extra_info("ssl_object")
        writer.write(b"first")
        assert await reader.readexactly(5) == b"first"
        for number in range(1, 4):
            tls.key_update(request_peer=True)
            writer.write(b"x")  # the loop sends what is in the BIO
            assert await reader.readexactly(1) == b"x"
            assert tls.generation == (number, number)
        writer.close()
        await writer.wait_closed()
        server.close()

    run(main())


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_start_tls_upgrades_both_ends(
    contexts: Contexts, run: Any, version: stdlib_ssl.TLSVersion
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"OK\n")
        await writer.start_tls(contexts.server(version))
        await echo(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"OK\n"
        await writer.start_tls(contexts.client(version), server_hostname="localhost")
        writer.write(b"secret\n")
        assert await reader.readline() == b"secret\n"
        writer.close()
        server.close()

    run(main())


@MODULES
def test_a_forged_record_is_the_same_error_as_with_openssl(
    contexts: Contexts, run: Any, module: ModuleType
) -> None:
    def client(port: int) -> None:
        bio = BioClient(port, contexts.client(module=stdlib_ssl))
        with bio.sock:
            wire = bytearray(bio.sealed(b"forged"))
            wire[-1] ^= 1
            bio.send(bytes(wire))
            while bio.sock.recv(65536):
                pass

    async def main() -> str:
        failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with pytest.raises(ssl.SSLError) as caught:
                await reader.read()
            failed.set_result(caught.value.reason)
            writer.close()

        server, port = await serve(contexts.server(module=module), handle)
        sending = asyncio.wrap_future(start(lambda: client(port)))
        reason = await failed
        await sending
        server.close()
        return reason

    assert run(main()) == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"


def test_many_connections_at_once(contexts: Contexts, run: Any) -> None:
    async def one(port: int, context: stdlib_ssl.SSLContext, number: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        data = number.to_bytes(4) * 5000
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server, port = await serve(contexts.server())
        context = contexts.client()
        await asyncio.gather(*(one(port, context, number) for number in range(40)))
        server.close()

    run(main())
