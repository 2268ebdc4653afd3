"""KtlsSelector with Connections: buffered data makes one ready, as for a KtlsSocket."""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

import pytest

from ktls_fast import ClientConfig, Connection, ServerConfig
from ktls_fast._tools.conformance.blocked import once_blocked
from ktls_fast.selectors import KtlsSelector
from tests.peers.ours import paired, server_config
from tests.peers.support import DEADLINE, octal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ktls_ends import MakePair

BOTH = EVENT_READ | EVENT_WRITE


@pytest.fixture
def selector() -> Iterator[KtlsSelector]:
    with KtlsSelector() as made:
        yield made


def ready(selector: KtlsSelector, timeout: float = 0) -> dict[Any, int]:
    return {key.data: events for key, events in selector.select(timeout)}


@pytest.mark.parametrize("size", [1, 16384, 16385, 20_000, 40_000, 65_536, 100_000, 262_144])
@pytest.mark.parametrize("piece", [16384, 100_000])
def test_a_select_loop_receives_any_length(selector: KtlsSelector, size: int, piece: int) -> None:
    with paired() as (conn, peer):
        conn.setblocking(False)
        selector.register(conn, EVENT_READ)
        data, got = octal(size), bytearray()

        def send() -> None:
            for start in range(0, size, 16384):
                peer.send(data[start : start + 16384])

        sending = threading.Thread(target=send)
        sending.start()
        while len(got) < size:
            assert selector.select(DEADLINE), f"{len(got)} of {size}"
            try:
                got += conn.recv(piece)
            except BlockingIOError:
                continue
        sending.join(DEADLINE)
        assert got == data
        assert ready(selector) == {}


def test_plaintext_left_by_another_thread_wakes_a_select(selector: KtlsSelector) -> None:
    with paired() as (conn, peer):
        selector.register(conn, EVENT_READ, "conn")
        reading = threading.Thread(target=conn.read, args=[3])

        def act() -> None:
            reading.start()
            peer.send(b"onetwo")

        with once_blocked(act):
            assert ready(selector, DEADLINE) == {"conn": EVENT_READ}
        reading.join(DEADLINE)
        assert ready(selector, DEADLINE) == {"conn": EVENT_READ}
        assert conn.read() == b"two"


def test_the_end_stays_ready(selector: KtlsSelector) -> None:
    with paired() as (conn, peer):
        conn.setblocking(False)
        selector.register(conn, BOTH, "conn")
        peer.close_notify()
        for _ in range(3):
            while not ready(selector, DEADLINE)["conn"] & EVENT_READ:
                pass
            assert conn.read() == b""


def test_a_closed_connection_is_ready_for_all(selector: KtlsSelector) -> None:
    with paired() as (conn, _):
        selector.register(conn, EVENT_READ, "conn")
        assert ready(selector) == {}
        with once_blocked(conn.close):
            assert ready(selector, DEADLINE) == {"conn": EVENT_READ}
        selector.unregister(conn)


def test_a_full_connection_is_not_writable(selector: KtlsSelector) -> None:
    with paired() as (conn, peer):
        conn.setblocking(False)
        selector.register(conn, EVENT_WRITE, "conn")
        assert ready(selector) == {"conn": EVENT_WRITE}
        taken = 0
        while ready(selector):
            with suppress(BlockingIOError):
                taken += conn.write(bytes(1 << 20))
        peer.receive_data(taken)
        assert ready(selector, DEADLINE) == {"conn": EVENT_WRITE}


@pytest.mark.parametrize("handshake", [False, True])
def test_tls_in_tls_is_refused_without_a_change(tcp_pair: MakePair, handshake: bool) -> None:
    near, far = tcp_pair()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    serving = threading.Thread(target=_serve, args=[far, server_config()])
    if handshake:
        serving.start()
    with context.wrap_socket(near, do_handshake_on_connect=handshake) as outer:
        refusal = r"ssl.SSLSocket.* TLS in TLS is not supported"
        with pytest.raises(TypeError, match=refusal):
            Connection.client(outer, ClientConfig(), "localhost")
        with pytest.raises(TypeError, match=refusal):
            Connection.server(outer, server_config())
        assert outer.fileno() >= 0
        if handshake:
            outer.sendall(b"still here")
            assert outer.recv(100) == b"still here"
            serving.join(DEADLINE)


def test_a_connection_over_a_connection_is_refused() -> None:
    with paired() as (conn, _), pytest.raises(TypeError, match="TLS in TLS is not supported"):
        Connection.client(conn, ClientConfig(), "localhost")  # type: ignore[arg-type]


def _serve(sock: object, config: ServerConfig) -> None:
    with Connection.server(sock, config) as conn:  # type: ignore[arg-type]
        conn.sendall(conn.read())
