"""The certificate of a server by the name that the client asks for, and its replacement."""

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
    ConfigError,
    Connection,
    HandshakeError,
    ServerConfig,
    ServerIdentity,
    WantReadError,
)
from tests.peers.ours import client_config, echo, serve_once, server_config
from tests.peers.pki import CertificateAndKey, pki
from tests.peers.process import ProgramProcess
from tests.peers.stdlib import TLS12, TLS13, client_context
from tests.peers.support import DEADLINE, answer, dial, listener, port_of, socket_pair, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


def der(identity: CertificateAndKey) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.cert.decode())


def identity_of(identity: CertificateAndKey) -> ServerIdentity:
    return ServerIdentity(identity.cert, identity.key)


def shake(config: ServerConfig) -> tuple[socket.socket, Future[Connection]]:
    """Return the client's socket, and a future of our server's connection."""
    near, far = socket_pair()
    return near, start(lambda: Connection.server(far, config))


def shown(config: ServerConfig, context: ssl.SSLContext, name: str | None) -> bytes | None:
    """Return the certificate that our server shows to a client of the standard library."""
    near, served = shake(config)
    context.check_hostname = False
    with context.wrap_socket(near, server_hostname=name) as sock:
        certificate = sock.getpeercert(binary_form=True)
        served.result(DEADLINE).close()
        return certificate


def several() -> ServerConfig:
    main, others = pki().server, (pki().alpha, pki().wildcard)
    return ServerConfig(main.cert, main.key, identities=map(identity_of, others))


@VERSIONS
@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("localhost", "server"),
        ("alpha.test", "alpha"),
        ("ALPHA.test", "alpha"),
        ("one.wild.test", "wildcard"),
        ("two.wild.test", "wildcard"),
        ("wild.test", "server"),
        ("deep.one.wild.test", "server"),
        ("unknown.test", "server"),
        (None, "server"),
    ],
)
def test_a_client_gets_the_certificate_for_its_name(
    pems: Path, version: ssl.TLSVersion, name: str | None, owner: str
) -> None:
    expected = der(getattr(pki(), owner))
    assert shown(several(), client_context(pems, version), name) == expected


@VERSIONS
def test_a_client_gets_a_certificate_whose_key_it_accepts(
    pems: Path, version: ssl.TLSVersion
) -> None:
    ecdsa, rsa = pki().server, pki().server_rsa
    config = ServerConfig(ecdsa.cert, ecdsa.key, identities=[identity_of(rsa)])
    assert shown(config, client_context(pems, version), "localhost") == der(ecdsa)
    context = client_context(pems, TLS12)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    assert shown(config, context, "localhost") == der(rsa)


def test_s_client_gets_the_certificate_for_its_name(
    require_tool: Callable[[str], str], pems: Path
) -> None:
    port, served = serve_once(echo, several())
    command = [require_tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port}"]
    command += ["-servername", "one.wild.test", "-CAfile", str(pems / "roots.pem")]
    with ProgramProcess(command) as client:
        client.output.until(b"subject=CN = *.wild.test")
        assert client.finish() == 0
    served.result(DEADLINE)


def test_gnutls_cli_verifies_the_certificate_for_its_name(
    require_tool: Callable[[str], str], pems: Path
) -> None:
    port, served = serve_once(echo, several())
    command = [require_tool("gnutls-cli"), "-p", str(port), "127.0.0.1"]
    command += ["--sni-hostname=alpha.test", "--verify-hostname=alpha.test"]
    command += [f"--x509cafile={pems / 'roots.pem'}"]
    with ProgramProcess(command) as client:
        client.output.until(b"Handshake was completed")
        assert client.finish() == 0
    served.result(DEADLINE)


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


@VERSIONS
def test_new_handshakes_use_the_certificate_that_was_loaded_last(
    pems: Path, version: ssl.TLSVersion
) -> None:
    config = several()
    with listener() as listening:
        port = port_of(listening)

        def one_handshake() -> bytes | None:
            served = start(lambda: Connection.server(answer(listening), config))
            context = client_context(pems, version)
            context.check_hostname = False
            with context.wrap_socket(dial(port), server_hostname="localhost") as sock:
                served.result(DEADLINE).close()
                return sock.getpeercert(binary_form=True)

        assert one_handshake() == der(pki().server)
        config.reload(pki().server_rsa.cert, pki().server_rsa.key)
        assert one_handshake() == der(pki().server_rsa)
    # None of the others was replaced.
    assert shown(config, client_context(pems, version), "alpha.test") == der(pki().alpha)
    config.reload(pki().server.cert, pki().server.key, identities=[])
    assert shown(config, client_context(pems, version), "alpha.test") == der(pki().server)


def test_a_handshake_that_has_begun_keeps_its_certificate(pems: Path) -> None:
    config = server_config()

    def resolve(_: str | None) -> ServerConfig:
        # The handshake that this call chooses for begins with the result.
        config.reload(pki().alpha.cert, pki().alpha.key)
        return config

    outer = server_config(resolver=resolve)
    assert shown(outer, client_context(pems), "localhost") == der(pki().alpha)
    near, served = shake(config)
    with near:
        config.reload(pki().server_rsa.cert, pki().server_rsa.key)
        context = client_context(pems)
        context.check_hostname = False
        with context.wrap_socket(near, server_hostname="localhost") as sock:
            served.result(DEADLINE).close()
            shown_now = sock.getpeercert(binary_form=True)
    assert shown_now in (der(pki().alpha), der(pki().server_rsa))


@pytest.mark.parametrize(
    ("cert", "key", "text"),
    [
        (pki().alpha.cert, pki().server.key, "does not belong"),
        (b"junk", pki().server.key, "cert"),
        (pki().alpha.cert, b"junk", "key"),
        (b"", b"", "cert"),
    ],
)
def test_a_refused_reload_changes_nothing(pems: Path, cert: bytes, key: bytes, text: str) -> None:
    config = server_config()
    with pytest.raises(ConfigError, match=text):
        config.reload(cert, key)
    assert shown(config, client_context(pems), "localhost") == der(pki().server)


def test_a_session_is_resumed_after_a_reload(pems: Path) -> None:
    config = server_config()
    client = client_config()
    resumed = []
    for _ in range(2):
        near, served = shake(config)
        with (
            Connection.client(near, client, "localhost") as conn,
            served.result(DEADLINE) as server,
        ):
            server.sendall(b"x")
            assert conn.read(1) == b"x"
            resumed.append(server.resumed)
        config.reload(pki().server_rsa.cert, pki().server_rsa.key)
    assert resumed == [False, True]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"resolver": "alpha.test"}, "function"),
        ({"identities": [1]}, "ServerIdentity"),
        ({"identities": [pki().alpha]}, "ServerIdentity"),
        ({"identities": 1}, "iterable"),
    ],
)
def test_a_wrong_type_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        server_config(**options)  # type: ignore[arg-type]


def test_threads_see_either_certificate_while_it_is_replaced(pems: Path) -> None:
    config, stop = server_config(), threading.Event()
    both = [pki().server, pki().server_rsa]

    def replace() -> None:
        while not stop.is_set():
            for identity in both:
                config.reload(identity.cert, identity.key)

    replacing = start(replace)
    try:
        seen = {shown(config, client_context(pems), "localhost") for _ in range(10)}
    finally:
        stop.set()
        replacing.result(DEADLINE)
    assert seen <= set(map(der, both))


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
