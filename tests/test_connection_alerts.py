"""What breaks a rule is answered by the alert that the RFC names, and the peer can read it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from types import NoneType

import pytest

from ktls_fast import Connection, KtlsError, PeerError
from tests.peers.ours import paired
from tests.peers.raw import (
    ALERT,
    CCS,
    DATA,
    HANDSHAKE,
    NOT_REQUESTED,
    RawPeer,
    RecordDirection,
    handshake_message,
    header,
    key_update,
    ticket,
)
from tests.peers.support import DEADLINE, SUITES, start

ALERTS = {
    "unexpected_message": 10,
    "bad_record_mac": 20,
    "record_overflow": 22,
    "illegal_parameter": 47,
    "decode_error": 50,
}

Wire = Callable[[RecordDirection], bytes]


def records(*contents: tuple[int, bytes]) -> Wire:
    """Seal a record for each type and content."""
    return lambda tx: b"".join(tx.seal(data, record_type) for record_type, data in contents)


def handshakes(*contents: bytes) -> Wire:
    """Seal a handshake record for each content."""
    return records(*((HANDSHAKE, content) for content in contents))


def inner(plaintext: bytes) -> Wire:
    """Seal a record with this inner plaintext."""
    return lambda tx: tx.seal_inner(plaintext)


def unsealed(record: bytes) -> Wire:
    """Return a record that was not sealed."""
    return lambda _: record


def spoiled(at: int) -> Wire:
    """Send a record with a modified byte."""

    def make(tx: RecordDirection) -> bytes:
        record = bytearray(tx.seal(b"data"))
        record[at] ^= 1
        return bytes(record)

    return make


def replayed(tx: RecordDirection) -> bytes:
    """Send a record twice; the first one is delivered."""
    return tx.seal(b"first") * 2


def reordered(tx: RecordDirection) -> bytes:
    """Send the second record before the first."""
    first, second = tx.seal(b"first"), tx.seal(b"second")
    return second + first


def behind_data(last: Wire) -> Wire:
    """Send records that can be opened together, the last of which is bad."""
    return lambda tx: tx.seal(b"") + tx.seal(b"") + last(tx)


def under_the_old_key(tx: RecordDirection) -> bytes:
    """Seal a KeyUpdate, and a record under the old key."""
    return tx.seal(key_update(NOT_REQUESTED), HANDSHAKE) + tx.seal(b"late")


def under_the_next_key(tx: RecordDirection) -> bytes:
    """Seal a record under the next key without a KeyUpdate."""
    tx.rekey()
    return tx.seal(b"early")


BROKEN: dict[str, tuple[Wire, str]] = {
    # Records that do not authenticate (RFC 8446 §5.2).
    "changed tag": (spoiled(-1), "bad_record_mac"),
    "changed ciphertext": (spoiled(5), "bad_record_mac"),
    "second record first": (reordered, "bad_record_mac"),
    "old key after a KeyUpdate": (under_the_old_key, "bad_record_mac"),
    "next key without a KeyUpdate": (under_the_next_key, "bad_record_mac"),
    "random bytes": (unsealed(header(64) + os.urandom(64)), "bad_record_mac"),
    "shorter than a tag": (unsealed(header(5) + b"hello"), "bad_record_mac"),
    "plain data": (unsealed(header(30) + b"GET / HTTP/1.1 not encrypted.."), "bad_record_mac"),
    # Lengths (§5.1, §5.2).
    "ciphertext of 2^14+257, header only": (unsealed(header(16641)), "record_overflow"),
    "ciphertext of 65535": (unsealed(header(65535) + bytes(100)), "record_overflow"),
    "plaintext of 2^14+1": (inner(bytes(16385) + b"\x17"), "record_overflow"),
    "plaintext and padding of 2^14+2": (inner(b"\x17" + bytes(16385)), "record_overflow"),
    "plaintext and padding of 2^14+2 after data": (
        behind_data(inner(b"\x17" + bytes(16385))),
        "record_overflow",
    ),
    "ciphertext of 2^14+256": (inner(bytes(16223) + b"\x17" + bytes(400)), "record_overflow"),
    # Content types (§5, §5.4).
    "only zeros": (inner(bytes(20)), "unexpected_message"),
    "no inner plaintext": (inner(b""), "unexpected_message"),
    "content type 99": (records((99, b"?")), "unexpected_message"),
    "content type 0x18, heartbeat": (records((24, b"\1\0\0")), "unexpected_message"),
    "CCS inside a record": (records((CCS, b"\x01")), "unexpected_message"),
    "empty handshake record": (handshakes(b""), "unexpected_message"),
    "empty alert record": (records((ALERT, b"")), "unexpected_message"),
    "plain CCS": (unsealed(header(1, CCS) + b"\x01"), "unexpected_message"),
    "plain alert": (unsealed(header(2, ALERT) + b"\x01\x00"), "unexpected_message"),
    "plain handshake": (
        unsealed(header(5, HANDSHAKE) + key_update(NOT_REQUESTED)),
        "unexpected_message",
    ),
    "opaque type 99": (unsealed(header(32, 99) + bytes(32)), "unexpected_message"),
    # Alerts (§6).
    "alert of one byte": (records((ALERT, b"\x02")), "decode_error"),
    "alert of three bytes": (records((ALERT, b"\x02\x28\x00")), "decode_error"),
    # KeyUpdate (§4.6.3, §5.1).
    "KeyUpdate of no byte": (handshakes(handshake_message(24, b"")), "decode_error"),
    "KeyUpdate of two bytes": (handshakes(handshake_message(24, b"\0\0")), "decode_error"),
    "KeyUpdate of 2^24-1 bytes": (handshakes(b"\x18\xff\xff\xff"), "decode_error"),
    "KeyUpdate of value 2": (handshakes(key_update(2)), "illegal_parameter"),
    "KeyUpdate of value 255": (handshakes(key_update(255)), "illegal_parameter"),
    "KeyUpdate twice in a record": (handshakes(key_update(0) * 2), "unexpected_message"),
    "KeyUpdate and one byte more": (handshakes(key_update(0) + b"\x18"), "unexpected_message"),
    "data inside a KeyUpdate": (
        records((HANDSHAKE, key_update(0)[:2]), (DATA, b"!"), (HANDSHAKE, key_update(0)[2:])),
        "unexpected_message",
    ),
    # Handshake messages that belong elsewhere (§4).
    "HelloRequest": (handshakes(handshake_message(0, b"")), "unexpected_message"),
    "ClientHello": (handshakes(handshake_message(1, bytes(50))), "unexpected_message"),
    "ServerHello": (handshakes(handshake_message(2, bytes(50))), "unexpected_message"),
    "EndOfEarlyData": (handshakes(handshake_message(5, b"")), "unexpected_message"),
    "CertificateRequest": (handshakes(handshake_message(13, bytes(3))), "unexpected_message"),
    "Finished": (handshakes(handshake_message(20, bytes(32))), "unexpected_message"),
    "message type 77": (handshakes(handshake_message(77, b"")), "unexpected_message"),
}


@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_rule_is_answered_by_its_alert(broken: str, server_side: bool) -> None:
    wire, alert = BROKEN[broken]
    with paired(server_side=server_side) as (conn, peer):
        peer.sock.sendall(wire(peer.tx))
        refused_with(alert, conn, peer)


@pytest.mark.parametrize("suite", SUITES, ids=SUITES.get)
def test_a_bad_tag_is_detected_in_every_suite(suite: int) -> None:
    with paired(suite=suite) as (conn, peer):
        peer.sock.sendall(spoiled(-1)(peer.tx))
        refused_with("bad_record_mac", conn, peer)


def test_only_a_client_accepts_tickets() -> None:
    with paired(server_side=True) as (conn, peer):
        peer.send(ticket(), HANDSHAKE)
        refused_with("unexpected_message", conn, peer)


def test_data_before_the_fault_is_delivered_first() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(replayed(peer.tx))
        assert conn.read() == b"first"
        refused_with("bad_record_mac", conn, peer)


def test_an_error_of_the_peer_is_final() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(spoiled(-1)(peer.tx) + peer.tx.seal(b"after the fault"))
        refused_with("bad_record_mac", conn, peer)
        with pytest.raises(KtlsError):
            conn.read()
        with pytest.raises(KtlsError):
            conn.write(b"data")
        with pytest.raises(KtlsError):
            conn.key_update()


def test_an_alert_is_sealed_under_the_current_key() -> None:
    with paired() as (conn, peer):
        conn.key_update()
        conn.sendall(b"data")
        peer.sock.sendall(spoiled(-1)(peer.tx))
        refused_with("bad_record_mac", conn, peer)
        assert peer.rx.generation == 1


def test_alert_is_not_lost_to_unread_data() -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(spoiled(-1)(peer.tx) + os.urandom(200_000))
        with pytest.raises(PeerError, match="bad_record_mac"):
            conn.read()
        received = start(lambda: drain_and_close(peer))
        conn.close()
        assert received.result(DEADLINE) == (b"", [(2, 20)])


def test_alert_follows_the_data_that_was_sent_before() -> None:
    with paired() as (conn, peer):
        conn.sendall(bytes(100_000))
        peer.sock.sendall(spoiled(-1)(peer.tx))
        with pytest.raises(PeerError, match="bad_record_mac"):
            conn.read()
        received = start(lambda: drain_and_close(peer))
        conn.close()
        assert received.result(DEADLINE) == (bytes(100_000), [(2, 20)])


def test_an_endless_message_is_refused_before_much_is_buffered() -> None:
    with paired(server_side=False) as (conn, peer):
        # NewSessionTicket, the longest message after a handshake, ends below 2^18 bytes.
        peer.send(b"\x04\xff\xff\xff", HANDSHAKE)
        rest = b"".join(peer.tx.seal(bytes(1 << 14), HANDSHAKE) for _ in range(16))
        sending = start(lambda: peer.sock.sendall(rest))
        with pytest.raises(PeerError):
            conn.read()
        assert peer.receive_alert()[0] == 2
        peer.sock.shutdown(socket.SHUT_RDWR)
        assert isinstance(sending.exception(DEADLINE), (OSError, NoneType))


@pytest.mark.parametrize("inner_plaintext", [bytes(16384) + b"\x17", b"x\x17" + bytes(16383)])
def test_the_largest_record_is_accepted(inner_plaintext: bytes) -> None:
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal_inner(inner_plaintext) + peer.tx.seal(b"end"))
        received = b""
        while not received.endswith(b"end"):
            received += conn.read(20_000)
        assert received == inner_plaintext.rstrip(b"\0")[:-1] + b"end"


def refused_with(alert: str, conn: Connection, peer: RawPeer) -> None:
    """Check that reading fails and names the alert, and that the peer receives it."""
    with pytest.raises(PeerError, match=alert):
        conn.read()
    assert peer.receive_alert() == (2, ALERTS[alert])


def drain_and_close(peer: RawPeer) -> tuple[bytes, list[tuple[int, int]]]:
    """Return what the peer receives before the end of the connection."""
    with peer.sock:
        return peer.drain()
