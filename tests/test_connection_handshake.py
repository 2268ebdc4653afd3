"""Handshakes that fail: each fails soon with the reason, and sends an alert to the peer."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import Connection, HandshakeError
from tests.peers.ours import client_config, echo, serve_once, server_config
from tests.peers.pki import pki
from tests.peers.support import DEADLINE, answer, dial, listener, port_of, socket_pair, start

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ktls_fast import ClientConfig, ServerConfig

SOON = 0.05


def client_hello() -> bytes:
    """Return the first flight of the ``ssl`` module."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def shake(
    client: ClientConfig, server: ServerConfig, name: str = "localhost"
) -> tuple[Future[str | None], Future[str | None]]:
    """Connect our client to our server; return futures of their versions."""
    near, far = socket_pair()
    return (
        start(lambda: _version(Connection.client(near, client, name))),
        start(lambda: _version(Connection.server(far, server))),
    )


def read_to_end(sock: socket.socket) -> bytes:
    """Receive everything up to FIN, and then close."""
    with sock:
        return b"".join(iter(lambda: sock.recv(4096), b""))


def _version(conn: Connection) -> str | None:
    with conn:
        return conn.version


GARBAGE = {
    "zeros": bytes(100),
    "letters": b"what is this? it is certainly not TLS at all",
    "a record of type 99": b"\x63\x03\x03\x00\x10" + bytes(16),
    "application data": b"\x17\x03\x03\x00\x40" + bytes(64),
    "an oversized record": b"\x16\x03\x01\xff\xff" + bytes(100),
    "an empty handshake record": b"\x16\x03\x01\x00\x00" + bytes(20),
    "a ServerHello": b"\x16\x03\x03\x00\x2c\x02\x00\x00\x28" + bytes(40),
    "a broken ClientHello": b"\x16\x03\x01\x00\x0a\x01\x00\x00\x06" + bytes(6),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_answered_by_an_alert(name: str) -> None:
    near, far = socket_pair()
    with far:
        far.sendall(GARBAGE[name])
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(HandshakeError) as caught:
            Connection.server(near, server_config())
        assert caught.value.errno == errno.EPROTO
        answered = far.recv(100)
        assert answered[:1] == b"\x15", answered
        assert answered[5] == 2, answered


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "POST /x HTTP/1.1", "HEAD / HTTP/1.0"])
def test_http_request_is_recognised(request_line: str) -> None:
    near, far = socket_pair()
    with far:
        far.sendall(request_line.encode() + b"\r\nHost: localhost\r\n\r\n")
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(HandshakeError, match="HTTP"):
            Connection.server(near, server_config())


def test_http_response_is_recognised() -> None:
    near, far = socket_pair()
    with far:
        far.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(HandshakeError, match="HTTP"):
            Connection.client(near, client_config(), "localhost")


def test_a_client_that_closes_at_each_offset_is_reported() -> None:
    hello, config = client_hello(), server_config()
    for cut in (0, 1, 4, 5, 6, 9, 40, len(hello) // 2, len(hello) - 1, len(hello)):
        near, far = socket_pair()
        far.sendall(hello[:cut])
        far.shutdown(socket.SHUT_WR)
        with far, pytest.raises(HandshakeError, match="closed"):
            Connection.server(near, config)


def test_client_that_resets_is_reported() -> None:
    near, far = socket_pair()
    far.sendall(client_hello())
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    with pytest.raises(OSError, match=r"(?i)reset|closed|broken pipe"):
        Connection.server(near, server_config())


def test_a_server_that_closes_is_reported() -> None:
    near, far = socket_pair()
    far.shutdown(socket.SHUT_WR)
    with far, pytest.raises(HandshakeError, match="closed"):
        Connection.client(near, client_config(), "localhost")


@pytest.mark.parametrize("sent", [0, 50, -1, None], ids="first {} bytes".format)
def test_server_waits_no_longer_than_its_timeout(sent: int | None) -> None:
    near, far = socket_pair()
    with far:
        far.sendall(client_hello()[:sent])
        near.settimeout(SOON)
        with pytest.raises(TimeoutError):
            Connection.server(near, server_config())


def test_client_waits_no_longer_than_its_timeout() -> None:
    near, far = socket_pair()
    with far:
        near.settimeout(SOON)
        with pytest.raises(TimeoutError):
            Connection.client(near, client_config(), "localhost")


def test_timeout_is_for_the_whole_handshake() -> None:
    near, far = socket_pair()
    near.settimeout(0.3)
    with far:
        shaking = start(lambda: Connection.server(near, server_config()))
        for byte in client_hello():
            # With a byte now and then, a timeout for each read would never expire.
            if shaking.done() or select.select([far], [], [], 0.02)[0]:
                break
            far.sendall(bytes([byte]))
        assert isinstance(shaking.exception(DEADLINE), TimeoutError)


def test_failed_handshake_closes_the_socket() -> None:
    near, far = socket_pair()
    far.sendall(b"no TLS, and nothing else to follow it")
    reading = start(lambda: read_to_end(far))
    with pytest.raises(HandshakeError):
        Connection.server(near, server_config())
    assert near.fileno() == -1
    assert reading.result(DEADLINE)[:1] == b"\x15"


@pytest.mark.parametrize(
    ("roots", "identity", "name", "reason"),
    [
        ("stranger", "server", "localhost", "issuer"),
        ("roots", "server", "example.org", "name"),
        ("roots", "expired", "localhost", "expired"),
    ],
)
def test_a_bad_certificate_is_refused_with_an_alert(
    roots: str, identity: str, name: str, reason: str
) -> None:
    client = client_config(getattr(pki(), roots))
    shaken_client, shaken_server = shake(client, server_config(getattr(pki(), identity)), name)
    with pytest.raises(HandshakeError, match=rf"(?i){reason}"):
        shaken_client.result(DEADLINE)
    with pytest.raises(OSError, match=r"(?i)certificate|unknown_ca"):
        shaken_server.result(DEADLINE)


def test_certificate_for_an_address_is_accepted() -> None:
    shaken_client, shaken_server = shake(client_config(), server_config(), "127.0.0.1")
    assert shaken_client.result(DEADLINE) == shaken_server.result(DEADLINE) == "TLSv1.3"


def test_no_common_suite_is_refused() -> None:
    client = client_config(suites=["TLS_AES_128_GCM_SHA256"])
    server = server_config(suites=["TLS_CHACHA20_POLY1305_SHA256"])
    shaken_client, shaken_server = shake(client, server)
    with pytest.raises(HandshakeError, match="handshake_failure"):
        shaken_client.result(DEADLINE)
    with pytest.raises(HandshakeError, match=r"(?i)suite"):
        shaken_server.result(DEADLINE)


def test_a_client_certificate_of_another_authority_is_refused() -> None:
    server = server_config(client_roots=pki().stranger, require_client_cert=True)
    client = client_config(cert=pki().client.cert, key=pki().client.key)
    shaken_client, shaken_server = shake(client, server)
    shaken_client.exception(DEADLINE)  # in TLS 1.3 the client learns it only after its handshake
    with pytest.raises(HandshakeError, match=r"(?i)issuer"):
        shaken_server.result(DEADLINE)


@pytest.mark.parametrize("name", ["", "not a name", "a..b", "\0"])
def test_impossible_server_name_is_refused_before_a_byte_is_sent(name: str) -> None:
    near, far = socket_pair()
    with near, far:
        with pytest.raises(OSError, match="name"):
            Connection.client(near, client_config(), name)
        near.close()
        assert far.recv(1) == b""


def test_package_functions_make_a_connection() -> None:
    with listener() as listening:
        config = server_config()
        serving = start(lambda: _serve(ktls_fast.accept(answer(listening), config)))
        address = ("127.0.0.1", port_of(listening))
        with ktls_fast.connect(address, client_config(), server_name="localhost") as conn:
            conn.settimeout(DEADLINE)
            conn.sendall(b"data")
            assert conn.read() == b"data"
            assert conn.getpeername() == address
        serving.result(DEADLINE)


def _serve(conn: Connection) -> None:
    with conn:
        echo(conn)


def test_a_failed_handshake_does_not_affect_the_next() -> None:
    config = server_config()
    for _ in range(3):
        port, served = serve_once(echo, config)
        with dial(port) as sock:
            sock.sendall(b"garbage, more than a record header")
        with pytest.raises(HandshakeError):
            served.result(DEADLINE)
    shaken_client, shaken_server = shake(client_config(), config)
    assert shaken_client.result(DEADLINE) == shaken_server.result(DEADLINE) == "TLSv1.3"
