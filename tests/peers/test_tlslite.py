"""tlslite-ng as client and server, in order and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ktls_fast import PeerError
from tests.peers.ours import connect, echoing, read_exactly, serve_once
from tests.peers.raw import ALERT, CCS, DATA, HANDSHAKE, handshake_message, key_update, ticket
from tests.peers.support import DEADLINE, octal
from tests.peers.tlslite_peer import CIPHERS, TLS12, TLS13, TlsLite, lite_connect, lite_serve

if TYPE_CHECKING:
    from ktls_fast import Connection

ROUNDS = 6

BROKEN = {
    "a KeyUpdate without a value": (HANDSHAKE, handshake_message(24, b""), 50),
    "a KeyUpdate of two bytes": (HANDSHAKE, handshake_message(24, b"\0\0"), 50),
    "a KeyUpdate of value 2": (HANDSHAKE, key_update(2), 47),
    "two KeyUpdates in a record": (HANDSHAKE, key_update(0) * 2, 10),
    "a ClientHello": (HANDSHAKE, handshake_message(1, bytes(40)), 10),
    "a ticket from a client": (HANDSHAKE, ticket(), 10),
    "a Finished": (HANDSHAKE, handshake_message(20, bytes(32)), 10),
    "a CCS under keys": (CCS, b"\x01", 10),
    "a heartbeat": (24, b"\x01\x00\x00", 10),
    "half an alert": (ALERT, b"\x02", 50),
}

BROKEN_IN_12 = {
    "a KeyUpdate": (HANDSHAKE, key_update(0), 10),
    "a Finished": (HANDSHAKE, handshake_message(20, bytes(12)), 10),
    "a CCS": (CCS, b"\x01", 10),
    "a heartbeat": (24, b"\x01\x00\x00", 10),
    "half an alert": (ALERT, b"\x02", 50),
}


@pytest.mark.parametrize("cipher", CIPHERS)
def test_their_client_and_our_server_update(cipher: str) -> None:
    turn = iter(range(ROUNDS + 1))

    def update_now_and_then(conn: Connection) -> None:
        if (now := next(turn)) % 2:
            conn.key_update(request_peer=now % 3 == 0)

    port, served = serve_once(echoing(update_now_and_then))
    client = lite_connect(port, cipher)
    for now in range(ROUNDS):
        _round_trip(client, octal(500 * now + 1, now))
        client.key_update(now % 2)
    _round_trip(client, b"end")
    client.close()
    summary = served.result(DEADLINE)
    # 3 updates of ours (one with a request) and 3 answers; 6 of the client's and one answer.
    assert (summary.cipher, summary.tx_generation, summary.rx_generation) == (CIPHERS[cipher], 6, 7)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_their_server_and_our_client_update(cipher: str) -> None:
    def handle(server: TlsLite) -> None:
        for now in range(ROUNDS):
            server.send(server.receive(700))
            server.key_update(now % 2)
        server.send(b"end")
        server.close()

    port, served = lite_serve(handle, cipher)
    with connect(port) as conn:
        for now in range(ROUNDS):
            conn.key_update(request_peer=now == 1)
            conn.sendall(octal(700, now))
            assert read_exactly(conn, 700) == octal(700, now)
        assert read_exactly(conn, 3) == b"end"
        assert conn.read() == b""
        assert (conn.cipher, conn.tx_generation, conn.rx_generation) == (CIPHERS[cipher], 9, 7)
    served.result(DEADLINE)


def test_padding_is_removed() -> None:
    port, served = serve_once(echoing(None))
    client = lite_connect(port)
    for size in (1, 255, 4000):
        client.pad_by(size)
        _round_trip(client, octal(300, size))
    client.close()
    served.result(DEADLINE)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_both_versions_carry_data(version: tuple[int, int]) -> None:
    port, served = serve_once(echoing(None))
    client = lite_connect(port, version=version)
    _round_trip(client, octal(20_000))
    client.close()
    assert served.result(DEADLINE).version == ("TLSv1.2" if version == TLS12 else "TLSv1.3")


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_rule_is_answered_by_its_alert(broken: str) -> None:
    content_type, data, alert = BROKEN[broken]
    port, served = serve_once(echoing(None))
    client = lite_connect(port)
    _round_trip(client, b"all is well")
    client.send_message(content_type, data)
    assert client.receive_alert() == (2, alert)
    with pytest.raises(PeerError):
        served.result(DEADLINE)


@pytest.mark.parametrize("broken", BROKEN_IN_12)
def test_broken_rule_of_tls12_is_answered_by_its_alert(broken: str) -> None:
    content_type, data, alert = BROKEN_IN_12[broken]
    port, served = serve_once(echoing(None))
    client = lite_connect(port, version=TLS12)
    _round_trip(client, b"all is well")
    client.send_message(content_type, data)
    assert client.receive_alert() == (2, alert)
    with pytest.raises(PeerError):
        served.result(DEADLINE)


def test_interleaved_message_is_answered_by_its_alert() -> None:
    port, served = serve_once(echoing(None))
    client = lite_connect(port)
    client.send_message(HANDSHAKE, key_update(0)[:3])
    client.send_message(DATA, b"in the middle")
    assert client.receive_alert() == (2, 10)
    with pytest.raises(PeerError, match="unexpected_message"):
        served.result(DEADLINE)


def _round_trip(client: TlsLite, data: bytes) -> None:
    client.send(data)
    assert client.receive(len(data)) == data
