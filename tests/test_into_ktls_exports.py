"""``Connection.export``: secrets, numbers and unread bytes, and the end of the object."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    Connection,
    ExportedConnection,
    KtlsError,
    Opener,
    PeerError,
    Sealer,
    WantWriteError,
)
from tests.peers.ours import client_config, connect, paired, serve_once, server_config
from tests.peers.raw import DATA, HANDSHAKE, NOT_REQUESTED, REQUESTED, ticket
from tests.peers.support import SUITES

if TYPE_CHECKING:
    from collections.abc import Callable


def continued(exported: ExportedConnection) -> Connection:
    """Continue an exported TLS 1.3 connection."""
    assert exported.tx_secret is not None
    assert exported.rx_secret is not None
    return Connection.from_secrets(
        exported.sock,
        server_side=exported.server_side,
        tx=exported.tx_secret,
        rx=exported.rx_secret,
        tx_rec_seq=exported.tx.rec_seq,
        rx_rec_seq=exported.rx.rec_seq,
        received=exported.ciphertext,
    )


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_an_export_continues_in_both_directions_after_key_updates(suite: int) -> None:
    with paired(suite=suite) as (conn, peer):
        for generation in range(3):
            conn.key_update()
            conn.sendall(b"before")
            peer.send_key_update(NOT_REQUESTED)
            peer.send(b"too")
            assert conn.read() == b"too"
            assert peer.receive_data(6) == b"before"
            assert conn.tx_generation == generation + 1
        exported = conn.export()
        assert exported.tx_secret is not None
        assert (exported.tx_secret.generation, exported.tx.rec_seq) == (3, 1)
        assert (exported.rx.rec_seq, exported.plaintext, exported.ciphertext) == (1, b"", b"")
        with continued(exported) as more:
            for _ in range(2):
                more.key_update()
                more.sendall(b"after")
                assert peer.receive_data(5) == b"after"
                peer.send_key_update(REQUESTED)
                peer.send(b"also")
                assert more.read() == b"also"


def test_the_keys_of_an_export_seal_and_open_the_next_records() -> None:
    with paired() as (conn, peer):
        conn.sendall(b"one")
        peer.send(b"two")
        assert conn.read() == b"two"
        exported = conn.export()
        assert peer.receive() == (DATA, b"one")
        exported.sock.sendall(Sealer(exported.tx).seal(b"three"))
        assert peer.receive() == (DATA, b"three")
        peer.send(b"four")
        assert Opener(exported.rx).open(exported.sock.recv(100)) == (DATA, b"four")
        exported.sock.close()


def test_no_call_can_use_the_connection_after_an_export() -> None:
    with paired() as (conn, _):
        exported = conn.export()
        assert conn.fileno() == -1
        calls: list[Callable[[], object]] = [
            lambda: conn.sendall(b"x"),
            lambda: conn.write(b"x"),
            conn.key_update,
            conn.close_notify,
            conn.read,
            conn.export,
            conn.into_ktls,
        ]
        for call in calls:
            with pytest.raises(OSError, match="Bad file descriptor"):
                call()
        conn.close()
        exported.sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            exported.sock.recv(1)
        exported.sock.close()


def test_unread_bytes_are_exported_in_order_at_every_cut() -> None:
    with paired() as (_, peer):
        first = peer.tx.seal(b"first")
        wire = first + peer.tx.seal(b"second") + peer.tx.seal(b"third")
    for cut in range(len(wire) + 1):
        with paired() as (conn, peer):
            peer.sock.sendall(first[:cut])
            if cut >= len(first):
                peer.sock.sendall(wire[len(first) : cut])
                assert conn.read(2) == b"fi"
            else:
                conn.settimeout(0)
                with pytest.raises(BlockingIOError):
                    conn.read()
                conn.settimeout(20)
            exported = conn.export()
            peer.sock.sendall(wire[cut:])
            data = exported.plaintext
            with continued(exported) as more:
                want = b"rstsecondthird" if cut >= len(first) else b"firstsecondthird"
                while len(data) < len(want):
                    data += more.read()
            assert data == want, cut


def fill(conn: Connection) -> int:
    """Write zeros until nothing more is accepted; return how many."""
    sent = 0
    while True:
        try:
            sent += conn.write(bytes(1 << 20))
        except BlockingIOError:
            return sent


def test_unsent_bytes_refuse_an_export_and_change_nothing() -> None:
    with paired() as (conn, peer):
        conn.settimeout(0)
        sent = fill(conn)
        assert conn.unsent > 0
        with pytest.raises(WantWriteError):
            conn.export()
        with pytest.raises(WantWriteError):
            conn.into_ktls("engine")
        assert peer.receive_data(sent) == bytes(sent)
        conn.settimeout(20)
        conn.sendall(b"goes on")
        assert peer.receive() == (DATA, b"goes on")
        conn.export().sock.close()


def test_an_owed_answer_is_sent_before_an_export() -> None:
    with paired() as (conn, peer):
        peer.send_key_update(REQUESTED)
        peer.send(b"data")
        assert conn.read() == b"data"
        exported = conn.export()
        assert peer.receive_key_update() == NOT_REQUESTED
        assert exported.tx_secret is not None
        assert (exported.tx_secret.generation, exported.tx.rec_seq) == (1, 0)
        exported.sock.close()


def test_half_a_handshake_message_refuses_an_export() -> None:
    with paired(server_side=False) as (conn, peer):
        message = ticket()
        peer.send(message[:9], HANDSHAKE)
        conn.settimeout(0.05)
        with pytest.raises(TimeoutError):
            conn.read()
        conn.settimeout(20)
        with pytest.raises(KtlsError, match="not complete") as caught:
            conn.export()
        assert caught.value.errno == errno.EBUSY
        peer.send(message[9:], HANDSHAKE)
        peer.send(b"data")
        assert conn.read() == b"data"
        conn.export().sock.close()


@pytest.mark.parametrize("call", ["export", "into_ktls"])
def test_an_error_of_the_peer_refuses_the_hand_over(call: str) -> None:
    with paired() as (conn, peer):
        good, bad = peer.tx.seal(b"good"), bytearray(peer.tx.seal(b"bad"))
        bad[-1] ^= 1
        peer.sock.sendall(good + bad)
        assert conn.read() == b"good"
        for _ in range(2):
            with pytest.raises(PeerError, match="bad_record_mac"):
                getattr(conn, call)()
        with pytest.raises(PeerError, match="bad_record_mac"):
            conn.read()


def test_the_secrets_of_a_handshake_are_exported_on_both_sides() -> None:
    port, served = serve_once(lambda conn: conn.export(), server_config(tickets=2))
    with connect(port) as conn:
        client = conn.export()
    server = served.result(20)
    assert client.tx_secret is not None
    assert server.rx_secret is not None
    assert bytes(client.tx_secret.crypto_info(3)) == bytes(server.rx_secret.crypto_info(3))
    assert (client.server_side, server.server_side) == (False, True)
    assert client.rx.rec_seq <= server.tx.rec_seq
    with continued(client) as one, continued(server) as two:
        two.key_update(request_peer=True)
        two.sendall(b"rekeyed")
        assert one.read() == b"rekeyed"
        one.sendall(b"answered")
        assert two.read() == b"answered"
        assert (two.rx_generation, two.tx_generation) == (1, 1)


def test_tls12_has_keys_with_numbers_and_no_secrets() -> None:
    suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    port, served = serve_once(lambda conn: (conn.read(), conn.export())[1])
    with connect(port, client_config(suites=suites)) as conn:
        conn.sendall(b"x")
        client = conn.export()
    server = served.result(20)
    assert (client.tx_secret, server.rx_secret) == (None, None)
    assert (client.tx.rec_seq, server.rx.rec_seq) == (2, 2)
    with (
        Connection.from_secrets(client.sock, server_side=False, tx=client.tx, rx=client.rx) as one,
        Connection.from_secrets(server.sock, server_side=True, tx=server.tx, rx=server.rx) as two,
    ):
        one.sendall(b"on")
        two.sendall(b"wards")
        assert (two.read(), one.read()) == (b"on", b"wards")


def test_what_follows_a_close_notify_is_exported_as_it_is() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"data") + peer.tx.seal(b"\x01\x00", 21) + b"plain")
        assert conn.read() == b"data"
        exported = conn.export()
        assert (exported.plaintext, exported.ciphertext) == (b"", b"plain")
        assert exported.closed_by_peer
        exported.sock.close()
