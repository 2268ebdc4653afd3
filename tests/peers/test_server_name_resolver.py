"""A resolver, which chooses the certificate or the configuration of a server."""

from __future__ import annotations

import contextlib
import gc
import select
import ssl
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    ClientConfig,
    Connection,
    HandshakeError,
    ServerConfig,
    ServerIdentity,
    WantReadError,
)
from tests.peers.ours import client_config, server_config
from tests.peers.pki import pki
from tests.peers.server_names import der, identity_of, shake, shown
from tests.peers.stdlib import TLS12, TLS13, client_context
from tests.peers.support import DEADLINE, socket_pair, start

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)
@pytest.mark.parametrize("name", ["localhost", "alpha.test", None])
def test_the_resolver_is_called_once_with_the_name(
    pems: Path, version: ssl.TLSVersion, name: str | None
) -> None:
    asked: list[str | None] = []
    main, alpha = pki().server, pki().alpha

    def resolve(name: str | None) -> ServerIdentity | None:
        asked.append(name)
        return identity_of(alpha) if name == "alpha.test" else None

    config = ServerConfig(main.cert, main.key, resolver=resolve)
    expected = der(alpha if name == "alpha.test" else main)
    assert shown(config, client_context(pems, version), name) == expected
    assert asked == [name]


def test_the_resolver_is_called_once_if_the_client_has_to_try_again(pems: Path) -> None:
    asked: list[str | None] = []
    main = pki().server
    config = ServerConfig(main.cert, main.key, resolver=asked.append, groups=["secp384r1"])
    near, served = shake(config)
    client = client_config(groups=["x25519", "secp384r1"])
    with Connection.client(near, client, "localhost") as conn, served.result(DEADLINE) as server:
        assert (conn.group, server.group, asked) == ("secp384r1", "secp384r1", ["localhost"])


def test_the_resolver_is_called_however_the_hello_is_cut(pems: Path) -> None:
    main = pki().server
    config = ServerConfig(main.cert, main.key, resolver=lambda _: identity_of(pki().alpha))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = client_context(pems)
    context.check_hostname = False
    client = context.wrap_bio(incoming, outgoing, server_hostname="alpha.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    near, served = shake(config)
    with near:
        for byte in outgoing.read():
            near.send(bytes([byte]))
        for _ in range(20):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                break
            incoming.write(near.recv(65536))
        near.sendall(outgoing.read())
        served.result(DEADLINE).close()
    assert client.getpeercert(binary_form=True) == der(pki().alpha)


def test_a_chosen_configuration_replaces_all_of_it(pems: Path) -> None:
    alpha = pki().alpha
    chosen = ServerConfig(
        alpha.cert, alpha.key, alpn=["h2"], min_version="TLSv1.3", rekey_records=2, tickets=0
    )
    config = server_config(alpn=["http/1.1"], resolver=lambda _: chosen)
    near, served = shake(config)
    context = client_context(pems)
    context.set_alpn_protocols(["http/1.1", "h2"])
    with context.wrap_socket(near, server_hostname="alpha.test") as sock:
        assert sock.selected_alpn_protocol() == "h2"
        with served.result(DEADLINE) as server:
            for _ in range(7):
                server.sendall(b"data")
                assert sock.recv(4) == b"data"
            assert server.tx_generation == 3


def test_a_resolver_may_use_locks_threads_and_connections(pems: Path) -> None:
    lock = threading.Lock()

    def resolve(_: str | None) -> ServerIdentity:
        with lock:
            near, served = shake(server_config())
            with Connection.client(near, client_config(), "localhost"):
                served.result(DEADLINE).close()
            return start(lambda: identity_of(pki().alpha)).result(DEADLINE)

    config = server_config(resolver=resolve)
    assert shown(config, client_context(pems), "alpha.test") == der(pki().alpha)
    assert not lock.locked()


@pytest.mark.parametrize("error", [KeyError("unknown"), ValueError("x"), OSError(5, "broken")])
def test_an_exception_of_the_resolver_ends_the_handshake_with_an_alert(
    pems: Path, error: Exception
) -> None:
    def resolve(_: str | None) -> None:
        raise error

    near, served = shake(server_config(resolver=resolve))
    with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
        client_context(pems).wrap_socket(near, server_hostname="localhost")
    with pytest.raises(HandshakeError, match=f"resolver raised {type(error).__name__}") as raised:
        served.result(DEADLINE)
    assert raised.value.__cause__ is error


def test_an_exception_that_is_none_of_errors_is_passed_on(pems: Path) -> None:
    class StopNow(BaseException):
        pass

    def resolve(_: str | None) -> None:
        raise StopNow

    near, served = shake(server_config(resolver=resolve))
    with pytest.raises(ssl.SSLError):
        client_context(pems).wrap_socket(near, server_hostname="localhost")
    with pytest.raises(StopNow):
        served.result(DEADLINE)


@pytest.mark.parametrize("result", ["alpha.test", 1, pki, ClientConfig("webpki")])
def test_another_result_of_the_resolver_is_a_type_error(pems: Path, result: object) -> None:
    config = server_config(resolver=lambda _: result)  # type: ignore[arg-type, return-value]
    near, served = shake(config)
    with pytest.raises(ssl.SSLError):
        client_context(pems).wrap_socket(near, server_hostname="localhost")
    with pytest.raises(HandshakeError) as raised:
        served.result(DEADLINE)
    assert isinstance(raised.value.__cause__, TypeError)
    assert "ServerIdentity or None" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("garbage", "text"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "plain HTTP"),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "malformed|broke"),
        (b"\x17\x03\x03\x00\x01x", "unexpected"),
    ],
)
def test_without_a_client_hello_the_resolver_is_not_called(garbage: bytes, text: str) -> None:
    asked: list[str | None] = []
    near, served = shake(server_config(resolver=asked.append))
    with near:
        near.sendall(garbage)
        with pytest.raises(HandshakeError, match=text):
            served.result(DEADLINE)
    assert asked == []


def test_a_resolver_that_refers_to_its_configuration_is_collected() -> None:
    class Chooser:
        config: ServerConfig

        def __call__(self, _: str | None) -> None:
            return None

    chooser = Chooser()
    chooser.config = server_config(resolver=chooser)
    gone = weakref.ref(chooser)
    del chooser
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("fails", [False, True])
def test_a_non_blocking_handshake_calls_the_resolver(pems: Path, fails: bool) -> None:
    asked: list[str | None] = []

    def resolve(name: str | None) -> ServerIdentity:
        asked.append(name)
        if fails:
            raise LookupError(name)
        return identity_of(pki().alpha)

    near, far = socket_pair()
    far.setblocking(False)
    context = client_context(pems)
    context.check_hostname = False

    def dialled() -> bytes | None:
        with context.wrap_socket(near, server_hostname="alpha.test") as sock:
            return sock.getpeercert(binary_form=True)

    client = start(dialled)
    with Connection.server(far, server_config(resolver=resolve)) as conn:
        with pytest.raises(HandshakeError) if fails else contextlib.nullcontext() as raised:
            await_handshake(conn)
        if raised:
            assert isinstance(raised.value.__cause__, LookupError)
            with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
                client.result(DEADLINE)
        else:
            assert client.result(DEADLINE) == der(pki().alpha)
    assert asked == ["alpha.test"]


def await_handshake(conn: Connection) -> None:
    """Complete the handshake of a non-blocking connection."""
    for _ in range(100):
        try:
            return conn.do_handshake()
        except WantReadError:
            assert select.select([conn], [], [], DEADLINE)[0]
    pytest.fail("the handshake does not end")
