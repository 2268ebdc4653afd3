"""TLS objects with peers that break rules, transports that end early, and careless callers."""

import copy
import pickle
import random

import pytest

import ktls_fast
from ktls_fast import (
    AlertReceivedError,
    HandshakeError,
    KtlsError,
    PeerError,
    TLSObject,
    TruncatedError,
    WantReadError,
)
from tests.peers.ours import client_config, server_config
from tests.peers.raw import ALERT, CLOSE_NOTIFY, HANDSHAKE, handshake_message, secret_for
from tests.tls_objects import (
    SUITE,
    TLS13,
    SslEnd,
    exchange,
    is_done,
    object_and_peer,
    objects,
    shaken,
    ssl_context,
)


def test_a_stream_that_ends_without_close_notify_is_truncated() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"data") + peer.seal(b"lost")[:10])
    ours.receive_eof()
    assert ours.pending() > 0
    assert ours.read() == b"data"
    assert ours.pending() == 1
    for _ in range(3):
        with pytest.raises(TruncatedError):
            ours.read()
        assert ours.pending() == 0
    with pytest.raises(TruncatedError):
        ours.recv_into(bytearray(9))
    assert ours.write(b"the other direction is open") == 27
    assert not ours.closed_by_peer


def test_a_stream_that_ends_after_close_notify_is_complete() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(CLOSE_NOTIFY, ALERT))
    ours.receive_eof()
    ours.receive_eof()
    assert ours.read() == b""
    assert ours.pending() == 0


def test_no_bytes_are_received_after_the_end() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive_eof()
    with pytest.raises(ValueError, match="after the end of the transport"):
        ours.receive(peer.seal(b"late"))


def test_an_error_comes_after_the_data_in_front_of_it_and_stays() -> None:
    ours, peer, rx = object_and_peer()
    good, bad = peer.seal(b"good"), bytearray(peer.seal(b"bad"))
    bad[-1] ^= 1
    ours.receive(good + bad)
    assert ours.read() == b"good"
    assert ours.pending() > 0
    with pytest.raises(PeerError, match="bad_record_mac"):
        ours.read()
    assert ours.pending() == 0
    assert rx.open(ours.data_to_send()) == (ALERT, b"\x02\x14")
    ours.receive(peer.seal(b"ignored"))
    assert ours.pending() == 0
    for call in (ours.read, lambda: ours.write(b"x"), ours.key_update, ours.close_notify):
        with pytest.raises(PeerError, match="bad_record_mac"):
            call()
    assert ours.data_to_send() == b""


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"\x17\x03\x03\xff\xff", "record_overflow"),
        (b"\x17\x03\x03\x00\x00", "decode_error|bad_record_mac|unexpected_message"),
        (b"GET / HTTP/1.1\r\n\r\n", "unexpected_message"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "unexpected_message"),
    ],
)
def test_bytes_that_are_no_record_end_the_connection(wire: bytes, text: str) -> None:
    ours, _, rx = object_and_peer()
    ours.receive(wire)
    with pytest.raises(PeerError, match=text):
        ours.read()
    record_type, alert = rx.open(ours.data_to_send())
    assert (record_type, alert[0]) == (ALERT, 2)


def test_an_alert_of_the_peer_is_reported_by_name() -> None:
    ours, peer, _ = object_and_peer()
    ours.receive(peer.seal(b"\x02\x50", ALERT))
    with pytest.raises(AlertReceivedError, match="internal_error"):
        ours.read()


def test_a_storm_of_key_updates_ends_the_connection() -> None:
    ours, peer, _ = object_and_peer(key_update_limit=(4, 3600))
    for _ in range(5):
        ours.receive(peer.seal(handshake_message(24, b"\x00"), HANDSHAKE))
        peer.rekey()
    with pytest.raises(PeerError, match="KeyUpdate"):
        ours.read()


def read_to_error(ours: TLSObject) -> None:
    """Read until a call raises an error, which counts as pending until then."""
    while True:
        assert ours.pending()
        ours.read()


def test_random_bytes_never_do_harm() -> None:
    rng = random.Random(12)
    for _ in range(300):
        ours, peer, _ = object_and_peer()
        wire = bytearray(b"".join(peer.seal(rng.randbytes(rng.randrange(50))) for _ in range(4)))
        for _ in range(rng.randrange(1, 4)):
            wire[rng.randrange(len(wire))] = rng.randrange(256)
        for start in range(0, len(wire), 37):
            ours.receive(wire[start : start + 37])
        ours.receive_eof()
        with pytest.raises((PeerError, TruncatedError)):
            read_to_error(ours)
        assert ours.pending() == 0


def test_random_bytes_for_a_handshake_never_do_harm() -> None:
    rng = random.Random(13)
    config = server_config()
    hello = TLSObject.client(client_config(), "localhost").data_to_send()
    for _ in range(200):
        wire = bytearray(hello)
        for _ in range(rng.randrange(1, 30)):
            wire[rng.randrange(len(wire))] = rng.randrange(256)
        server = TLSObject.server(config)
        server.receive(wire)
        server.receive_eof()
        with pytest.raises(HandshakeError):
            server.do_handshake()


def test_a_failed_handshake_has_its_alert_in_data_to_send() -> None:
    server = TLSObject.server(server_config())
    server.receive(b"GET / HTTP/1.1\r\n\r\n")
    assert server.pending() == 1
    for call in (server.do_handshake, server.read, lambda: server.write(b""), server.close_notify):
        with pytest.raises(HandshakeError, match="TLS"):
            call()
    assert server.pending() == 0
    assert server.data_to_send()[0] == ALERT
    server.receive(b"more")
    assert server.wants == 0


def test_a_client_refuses_an_unknown_authority_and_openssl_is_told() -> None:
    peer = SslEnd(ssl_context(TLS13, server_side=True), server_side=True)
    ours = TLSObject.client(ktls_fast.ClientConfig("webpki"), "localhost")
    assert not is_done(ours)
    exchange(ours, peer)
    assert not is_done(peer)
    exchange(ours, peer)
    with pytest.raises(HandshakeError, match=r"(?i)certificate"):
        ours.do_handshake()
    with pytest.raises(Exception, match=r"(?i)unknown ca"):
        peer.do_handshake()


def test_a_transport_that_ends_during_the_handshake_is_an_error() -> None:
    ours = TLSObject.client(client_config(), "localhost")
    ours.receive_eof()
    assert ours.pending() == 1
    for _ in range(2):
        with pytest.raises(HandshakeError, match="closed the connection during the handshake"):
            ours.do_handshake()
    assert ours.pending() == 0


def test_before_the_handshake_calls_want_bytes_and_properties_are_empty() -> None:
    ours = TLSObject.server(server_config())
    for call in (
        ours.do_handshake,
        ours.read,
        lambda: ours.write(b"x"),
        lambda: ours.writelines([b"x"]),
        ours.key_update,
        ours.close_notify,
        lambda: ours.recv_into(bytearray(1)),
    ):
        with pytest.raises(WantReadError):
            call()
    assert not ours.handshake_complete
    assert (ours.version, ours.cipher, ours.alpn, ours.server_name) == (None, None, None, None)
    assert (ours.resumed, ours.bytes_sent, ours.records_received) == (False, 0, 0)
    assert (ours.pending(), ours.leftover(), ours.closed_by_peer) == (0, b"", False)
    assert ours.wants == 5
    with pytest.raises(ValueError, match="the handshake is not complete"):
        _ = ours.peer_certificates
    assert repr(ours) == "<TLSObject in its handshake>"


def test_it_cannot_be_copied_or_pickled() -> None:
    ours, _ = objects()
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="TLSObject holds a key and cannot be pickled"):
            call(ours)


def test_no_secret_is_in_its_repr_or_errors() -> None:
    secret = secret_for(SUITE, 1)
    ours, _ = objects()
    ours.receive(bytes(30))
    with pytest.raises(KtlsError) as caught:
        ours.read()
    for text in (repr(ours), str(caught.value), repr(ours.__dir__())):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text


def test_after_a_handshake_the_facts_are_those_of_both_sides() -> None:
    client, server = shaken()
    assert client.handshake_complete
    assert server.handshake_complete
    assert client.version == server.version == "TLSv1.3"
    assert client.cipher == server.cipher
    assert client.server_name == server.server_name == "localhost"
    assert len(client.peer_certificates) >= 1
    assert server.peer_certificates == []
