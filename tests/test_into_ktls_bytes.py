"""Bytes in flight while a connection is handed over to a kTLS socket: none is lost."""

from __future__ import annotations

import contextlib
import errno
import select
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    AlertReceivedError,
    Connection,
    KtlsError,
    PeerError,
    TruncatedError,
)
from tests.ktls_hand_over import (
    backend,
    handed_over,
    into_ktls,
    receive_exactly,
)
from tests.peers.ours import (
    client_config,
    connect,
    paired,
    read_exactly,
    serve_once,
    server_config,
)
from tests.peers.raw import ALERT, DATA, NOT_REQUESTED, REQUESTED, RawPeer
from tests.peers.support import DEADLINE, octal, start

__all__ = ["backend"]  # a fixture

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ktls_fast import ServerConfig
    from ktls_fast._backends import Backend


def in_flight(peer: RawPeer) -> bytes:
    """Seal data with a KeyUpdate in it."""
    return (
        peer.tx.seal(b"first")
        + peer.tx.seal(b"second")
        + peer.sealed_key_update(REQUESTED)
        + peer.tx.seal(b"third")
    )


def test_bytes_in_flight_are_delivered_at_every_cut(backend: Backend) -> None:
    with paired() as (_, peer):
        wire = in_flight(peer)
    for cut in range(len(wire) + 1):
        check_cut(backend, cut, len(wire))


def check_cut(backend: Backend, cut: int, whole: int) -> None:
    """Hand over after ``cut`` bytes of what is in flight were read, if any can be."""
    with paired() as (conn, peer):
        wire = in_flight(peer)
        assert len(wire) == whole
        peer.sock.sendall(wire[:cut])
        data = b""
        if cut:
            select.select([conn], [], [], DEADLINE)
            conn.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                data = conn.read(3)
            conn.settimeout(DEADLINE)
        handing_over = start(lambda: into_ktls(conn, backend))
        peer.sock.sendall(wire[cut:])
        with handing_over.result(DEADLINE) as tls:
            data += receive_exactly(tls, 16 - len(data))
            assert data == b"firstsecondthird", cut
            tls.sendall(b"reply")
            assert peer.receive_key_update() == NOT_REQUESTED
            assert peer.receive() == (DATA, b"reply")
            assert (tls.keys.tx_generation, tls.keys.rx_generation) == (1, 1)


def test_much_that_was_read_ahead_is_delivered(backend: Backend) -> None:
    with paired() as (conn, peer):
        data = octal(300_000, 5)
        wire = b"".join(peer.tx.seal(data[at : at + 1000]) for at in range(0, len(data), 1000))
        sending = start(lambda: peer.sock.sendall(wire))
        first = conn.read(1)
        with into_ktls(conn, backend) as tls:
            assert first + receive_exactly(tls, len(data) - 1) == data
        sending.result(DEADLINE)


def test_a_close_notify_that_was_read_ends_the_new_connection(backend: Backend) -> None:
    with paired() as (conn, peer):
        data = peer.tx.seal(b"data")
        peer.sock.sendall(data + peer.tx.seal(b"\x01\x00", ALERT) + b"plain text")
        assert conn.read(100) == b"data"
        with into_ktls(conn, backend) as tls:
            assert tls.recv(100) == b""
            assert tls.keys.closed_by_peer
            assert tls.keys.leftover == b"plain text"
            tls.sendall(b"half open")
            assert peer.receive() == (DATA, b"half open")


def test_data_in_front_of_a_close_notify_that_was_read_is_delivered(backend: Backend) -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"data") + peer.tx.seal(b"\x01\x00", ALERT) + b"plain")
        assert conn.read(1) == b"d"
        with into_ktls(conn, backend) as tls:
            assert tls.recv(2) == b"at"
            buffer = bytearray(600)
            assert (tls.recv_into(buffer), bytes(buffer[:1])) == (1, b"a")
            assert tls.recv(10) == b""


def test_a_peer_that_has_ended_is_handed_over_to_the_engine() -> None:
    with paired() as (conn, peer):
        peer.send(b"all of it")
        peer.close_notify()
        peer.sock.close()
        with into_ktls(conn, "engine") as tls:
            assert tls.recv(100) == b"all of it"
            assert tls.recv(100) == b""


def test_an_end_without_close_notify_is_truncation(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        peer.send(b"data")
        peer.sock.close()
        assert tls.recv(100) == b"data"
        with pytest.raises(TruncatedError):
            tls.recv(100)


def test_a_fatal_alert_is_raised(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        peer.send(b"\x02\x28", ALERT)
        for _ in range(2):
            with pytest.raises(AlertReceivedError, match="handshake_failure"):
                tls.recv(100)
        with pytest.raises(AlertReceivedError):
            tls.send(b"x")


def test_a_forged_record_is_answered_with_its_alert(backend: Backend) -> None:
    with handed_over(backend) as (tls, peer):
        good, bad = peer.tx.seal(b"good"), bytearray(peer.tx.seal(b"bad"))
        bad[-1] ^= 1
        peer.sock.sendall(good + bad)
        assert tls.recv(100) == b"good"
        with pytest.raises(KtlsError) as caught:
            tls.recv(100)
        assert caught.value.errno == errno.EBADMSG
        assert peer.receive_alert() == (2, 20)


@pytest.mark.parametrize(
    "suite",
    [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ],
)
def test_tls12_goes_on_without_key_updates(backend: Backend, suite: str) -> None:
    def serve(conn: Connection) -> bytes:
        data = read_exactly(conn, 50_000)
        conn.sendall(data[::-1])
        assert conn.read(1) == b""
        return data

    port, served = serve_once(serve)
    conn = connect(port, client_config(suites=[suite]))
    assert conn.version == "TLSv1.2"
    conn.sendall(b"2" * 100)
    with into_ktls(conn, backend) as tls:
        assert tls.keys.version == "TLSv1.2"
        data = octal(49_900, 3)
        tls.sendall(data)
        assert receive_exactly(tls, 50_000) == (b"2" * 100 + data)[::-1]
        with pytest.raises(KtlsError) as caught:
            tls.key_update()
        assert caught.value.errno == errno.EOPNOTSUPP
    assert served.result(DEADLINE) == b"2" * 100 + data


@pytest.mark.parametrize("tickets", [0, 2])
def test_both_sides_of_a_handshake_are_handed_over(backend: Backend, tickets: int) -> None:
    config = server_config(tickets=tickets, rekey_records=20, rekey_peer=True)
    served = serve_ktls(backend, config)
    port, result = served
    shared = client_config(rekey_records=30, rekey_peer=True)
    for _ in range(1):
        conn = connect(port, shared)
        with into_ktls(conn, backend) as tls:
            for number in range(100):
                tls.sendall(octal(700, number))
                assert receive_exactly(tls, 700) == octal(700, number)
            tls.close_notify()
            assert tls.recv(1) == b""
            assert tls.keys.tx_generation > 3
            assert tls.keys.rx_generation > 3
    assert result.result(DEADLINE) > 3


def serve_ktls(backend: Backend, config: ServerConfig) -> tuple[int, Future[int]]:
    """Echo over a kTLS socket; the result is the number of our key updates."""

    def serve(conn: Connection) -> int:
        with into_ktls(conn, backend) as tls:
            while data := tls.recv(65536):
                tls.sendall(data)
            tls.close_notify()
            return tls.keys.tx_generation

    return serve_once(serve, config)


def test_a_ticket_that_comes_behind_the_hand_over_resumes_a_session(backend: Backend) -> None:
    def serve(conn: Connection) -> bool:
        conn.sendall(b"x")
        conn.read()
        return conn.resumed

    config, server, resumed = client_config(), server_config(), []
    for _ in range(2):
        port, result = serve_once(serve, server)
        with into_ktls(connect(port, config), backend) as tls:
            assert tls.recv(1) == b"x"
            tls.sendall(b"y")
            tls.close_notify()
        resumed.append(result.result(DEADLINE))
    assert resumed == [False, True]


def test_a_peer_error_behind_data_is_raised_by_the_connection_itself(backend: Backend) -> None:
    with paired() as (conn, peer):
        good, bad = peer.tx.seal(b"good"), bytearray(peer.tx.seal(b"bad"))
        bad[-1] ^= 1
        peer.sock.sendall(good + bad)
        assert conn.read() == b"good"
        with pytest.raises(PeerError):
            conn.into_ktls(backend)
        with pytest.raises(PeerError):
            conn.read()
