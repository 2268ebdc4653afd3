"""A TLS object that continues a connection of the ``ssl`` module, whose other end stays OpenSSL."""

import ssl

import pytest

from ktls_fast import CryptoInfo, KtlsError, TLSObject, TrafficSecret, derive_tls12_keys
from tests.peers.raw import secret_for
from tests.tls_objects import (
    SUITES12,
    SUITES13,
    TLS12,
    TLS13,
    SslEnd,
    exchange,
    hand_over,
    read_all,
)

SIDES = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])
PAYLOADS = [b"x", b"first" * 20, bytes(16384), bytes(range(256)) * 1000]


def check_data_and_end(ours: TLSObject, peer: SslEnd) -> None:
    """Send data in both directions, then close both."""
    for payload in PAYLOADS:
        assert ours.write(payload) == len(payload)
        exchange(ours, peer)
        assert peer.read_all() == payload
        peer.write(payload)
        exchange(ours, peer)
        assert read_all(ours) == payload
    peer.close_notify()
    exchange(ours, peer)
    assert ours.read() == b""
    assert ours.closed_by_peer
    ours.close_notify()
    exchange(ours, peer)
    peer.tls.unwrap()


@SIDES
def test_a_tls13_connection_goes_on(*, server_side: bool) -> None:
    ours, peer = hand_over(TLS13, server_side=server_side)
    assert ours.version == "TLSv1.3"
    check_data_and_end(ours, peer)


@SIDES
@pytest.mark.parametrize("ciphers", SUITES12)
def test_a_tls12_connection_goes_on(*, server_side: bool, ciphers: str) -> None:
    ours, peer = hand_over(TLS12, server_side=server_side, ciphers=ciphers)
    assert ours.version == "TLSv1.2"
    check_data_and_end(ours, peer)


@SIDES
def test_openssl_follows_and_answers_key_updates(*, server_side: bool) -> None:
    ours, peer = hand_over(TLS13, server_side=server_side)
    for number in range(1, 6):
        ours.key_update(request_peer=True)
        ours.write(b"after update %d" % number)
        exchange(ours, peer)
        assert peer.read_all() == b"after update %d" % number
        peer.write(b"answer %d" % number)
        exchange(ours, peer)
        assert read_all(ours) == b"answer %d" % number
        assert (ours.tx_generation, ours.rx_generation) == (number, number)


def test_a_tls12_object_refuses_a_key_update() -> None:
    ours, peer = hand_over(TLS12, server_side=True, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(KtlsError, match=r"TLS 1\.2"):
        ours.key_update()
    check_data_and_end(ours, peer)


def test_a_wrong_record_number_is_a_bad_record_for_the_peer() -> None:
    _, peer = hand_over(TLS13, server_side=True)
    secrets = [TrafficSecret(SUITES13["TLS_AES_256_GCM_SHA384"], bytes([n]) * 48) for n in (1, 2)]
    other = TLSObject.from_secrets(server_side=True, tx=secrets[0], rx=secrets[1])
    other.write(b"data")
    peer.receive(other.data_to_send())
    with pytest.raises(ssl.SSLError, match=r"(?i)decryption failed|bad record mac"):
        peer.read()


def test_record_numbers_are_those_of_the_arguments() -> None:
    secret, other = (TrafficSecret(0x1301, secret_for(0x1301, seed)) for seed in (1, 101))
    sender = TLSObject.from_secrets(server_side=True, tx=secret, rx=other, tx_rec_seq=7)
    receiver = TLSObject.from_secrets(server_side=False, tx=other, rx=secret, rx_rec_seq=7)
    sender.write(b"number seven")
    wire = sender.data_to_send()
    receiver.receive(wire)
    assert receiver.read() == b"number seven"
    late = TLSObject.from_secrets(
        server_side=False, tx=other, rx=secret, rx_rec_seq=7, received=wire
    )
    assert late.read() == b"number seven"
    wrong = TLSObject.from_secrets(server_side=False, tx=other, rx=secret, received=wire)
    with pytest.raises(KtlsError):
        wrong.read()


def infos() -> tuple[CryptoInfo, CryptoInfo]:
    """Return the keys of a TLS 1.2 connection."""
    return derive_tls12_keys(0xC02F, bytes(48), bytes(32), bytes(range(32)))


def test_keys_that_do_not_belong_together_are_refused() -> None:
    secret, other = (TrafficSecret(0x1301, secret_for(0x1301, seed)) for seed in (1, 101))
    client, server = infos()
    key13 = secret.crypto_info()
    third = TrafficSecret(0x1303, secret_for(0x1303, 1))
    chacha, _ = derive_tls12_keys(0xCCA8, bytes(48), bytes(32), bytes(range(32)))
    for tx, rx, numbers, text in [
        (secret, client, {}, "different kinds"),
        (client, secret, {}, "different kinds"),
        (key13, other.crypto_info(), {}, "TLS 1.2 only"),
        (client, key13, {}, "TLS 1.2 only"),
        (client, server, {"tx_rec_seq": 1}, "has its own rec_seq"),
        (client, server, {"rx_rec_seq": 1}, "has its own rec_seq"),
        (client, client, {}, "same secret"),
        (secret, secret, {}, "same secret"),
        (secret, third, {}, "tx is of TLS_AES_128_GCM_SHA256 and rx of"),
        (client, chacha, {}, "tx is of AES_GCM_128 and rx of CHACHA20_POLY1305"),
    ]:
        with pytest.raises(KtlsError, match=text):
            TLSObject.from_secrets(server_side=True, tx=tx, rx=rx, **numbers)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"TrafficSecret or a CryptoInfo is needed, not .*bytes"):
        TLSObject.from_secrets(server_side=True, tx=bytes(client), rx=server)  # type: ignore[arg-type]


def test_tls12_keys_have_the_numbers_and_nonces_of_the_arguments() -> None:
    client, server = derive_tls12_keys(
        0xC02F,
        bytes(48),
        bytes(32),
        bytes(32),
        client_iv=b"client--",
        server_iv=b"server--",
        client_rec_seq=5,
        server_rec_seq=6,
    )
    assert (client.version, client.cipher_type, client.rec_seq) == (0x0303, 51, 5)
    assert server.rec_seq == 6
    assert bytes(client)[4:12] == b"client--"
    assert bytes(server)[4:12] == b"server--"
    assert [info.rec_seq for info in infos()] == [1, 1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"suite": 0x1301}, "suite 0x1301 is not a TLS 1.2 suite"),
        ({"suite": 0x002F}, "suite 0x002f is not a TLS 1.2 suite"),
        ({"master_secret": bytes(47)}, "the master secret"),
        ({"client_random": bytes(31)}, "the client random"),
        ({"server_random": b""}, "the server random"),
        ({"client_iv": bytes(12)}, "the explicit nonce"),
        ({"server_iv": b""}, "the explicit nonce"),
    ],
)
def test_wrong_inputs_of_the_key_derivation_are_refused(
    change: dict[str, object], text: str
) -> None:
    inputs: dict[str, object] = {
        "suite": 0xC02F,
        "master_secret": bytes(48),
        "client_random": bytes(32),
        "server_random": bytes(32),
    }
    with pytest.raises(KtlsError, match=text) as caught:
        derive_tls12_keys(**(inputs | change))  # type: ignore[arg-type]
    assert caught.value.errno == 22
