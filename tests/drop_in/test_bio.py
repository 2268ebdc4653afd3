"""``ktls_fast.ssl`` over memory BIOs, which frameworks use."""

import ssl as stdlib_ssl
from types import ModuleType
from typing import Any

import pytest

from ktls_fast import ssl
from ktls_fast._handover.observer import records_of
from tests.drop_in.contexts import (
    TLS12,
    TLS13,
    VERSIONS,
    BioEnd,
    BioPair,
    Contexts,
    bio_pair,
    is_ours,
)

SIDES = pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ssl, stdlib_ssl), (stdlib_ssl, ssl), (ssl, ssl)],
    ids=["client", "server", "both"],
)
SUITES = [
    (TLS12, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (TLS12, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (TLS12, "ECDHE-ECDSA-CHACHA20-POLY1305"),
]


def swap(pair: BioPair, size: int) -> None:
    """Send data in both directions and compare it."""
    for near, far in ((pair.client, pair.server), (pair.server, pair.client)):
        data = bytes(range(256)) * (size // 256 + 1)
        written = 0
        while written < size:
            written += near.tls.write(data[written:size])
        pair.carry()
        assert far.read_all() == data[:size]


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_data_arrives_in_both_directions(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, ours: ModuleType, theirs: ModuleType
) -> None:
    pair = bio_pair(contexts.client(version, ours), contexts.server(version, theirs))
    for size in (1, 16384, 16385, 300_000, 5):
        swap(pair, size)
    assert [is_ours(end.tls) for end in (pair.client, pair.server) if hasattr(end.tls, "refusal")]


@pytest.mark.parametrize(("version", "suite"), SUITES)
@SIDES
def test_every_aead_suite_of_tls12_is_taken_over(
    contexts: Contexts,
    version: stdlib_ssl.TLSVersion,
    suite: str,
    ours: ModuleType,
    theirs: ModuleType,
) -> None:
    server = contexts.server(version, theirs)
    server.set_ciphers(suite)
    pair = bio_pair(contexts.client(version, ours), server)
    assert pair.client.tls.cipher()[0] == suite
    swap(pair, 40_000)
    for end in (pair.client.tls, pair.server.tls):
        assert getattr(end, "refusal", None) is None


@pytest.mark.parametrize("tickets", [0, 1, 2, 5])
def test_a_server_continues_after_its_tickets(contexts: Contexts, tickets: int) -> None:
    server = contexts.server(num_tickets=tickets)
    pair = bio_pair(contexts.client(module=stdlib_ssl), server)
    assert is_ours(pair.server.tls)
    swap(pair, 1000)


@pytest.mark.parametrize("version", VERSIONS)
@SIDES
def test_a_session_is_resumed(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, ours: ModuleType, theirs: ModuleType
) -> None:
    client, server = contexts.client(version, ours), contexts.server(version, theirs)
    first = bio_pair(client, server)
    swap(first, 100)
    second = bio_pair(client, server, session=first.client.tls.session)
    assert second.client.tls.session_reused
    swap(second, 100)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("side", ["client", "server"])
def test_explicit_nonces_continue_behind_that_of_the_finished(
    contexts: Contexts, side: str, resumed: bool
) -> None:
    client, server = contexts.client(TLS12), contexts.server(TLS12)
    session = bio_pair(client, server).client.tls.session if resumed else None
    pair = BioPair(BioEnd(client, session=session), BioEnd(server, server_side=True))
    near, far = (pair.client, pair.server) if side == "client" else (pair.server, pair.client)
    wire, done = bytearray(), [False, False]
    while not all(done):
        done = [end.step(end.tls.do_handshake) for end in (pair.client, pair.server)]
        flight = near.outgoing.read()
        wire += flight
        far.incoming.write(flight)
        near.incoming.write(far.outgoing.read())
    near.tls.write(b"one")
    near.tls.write(b"two" * 10_000)
    wire += near.outgoing.read()
    records = list(records_of(bytes(wire)))
    encrypted = records[[record[0] for record in records].index(20) + 1 :]
    nonces = [int.from_bytes(record[5:13]) for record in encrypted]
    first = nonces[0]
    assert len(nonces) == 4
    assert nonces == [(first + number) % (1 << 64) for number in range(4)]


def test_key_updates_change_the_generations(contexts: Contexts) -> None:
    pair = bio_pair(contexts.client(), contexts.server(module=stdlib_ssl))
    pair.client.tls.key_update()
    swap(pair, 100)
    assert pair.client.tls.generation == (1, 0)
    pair.client.tls.key_update(request_peer=True)
    swap(pair, 100)
    assert pair.client.tls.generation == (2, 1)


def test_a_read_puts_the_answer_to_a_key_update_into_the_bio(contexts: Contexts) -> None:
    pair = bio_pair(contexts.client(), contexts.server())
    pair.carry()
    pair.client.tls.key_update(request_peer=True)
    pair.carry()
    assert pair.server.read_all() == b""
    assert pair.server.outgoing.pending
    assert pair.server.tls.generation == (1, 1)


def test_tls12_refuses_a_key_update(contexts: Contexts) -> None:
    pair = bio_pair(contexts.client(TLS12), contexts.server(TLS12))
    with pytest.raises(OSError, match=r"TLS 1\.2 has no key update"):
        pair.client.tls.key_update()
    swap(pair, 10)


def test_all_names_of_the_standard_library_are_there() -> None:
    for name in dir(stdlib_ssl):
        assert hasattr(ssl, name), name
    assert issubclass(ssl.SSLContext, stdlib_ssl.SSLContext)
    assert issubclass(ssl.SSLObject, stdlib_ssl.SSLObject)
    assert issubclass(ssl.SSLSocket, stdlib_ssl.SSLSocket)


@pytest.mark.parametrize(
    "make",
    [
        ssl.create_default_context,
        ssl._create_unverified_context,
        ssl._create_stdlib_context,
        ssl._create_default_https_context,
        lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    ],
)
def test_functions_create_our_contexts(make: Any) -> None:
    assert type(make()) is ssl.SSLContext


def test_properties_of_the_handshake_are_those_of_openssl(contexts: Contexts) -> None:
    client, server = contexts.client(), contexts.server()
    client.set_alpn_protocols(["h2", "http/1.1"])
    server.set_alpn_protocols(["http/1.1"])
    pair = bio_pair(client, server)
    swap(pair, 10)
    for tls in (pair.client.tls, pair.server.tls):
        assert is_ours(tls)
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert tls.version() == "TLSv1.3"
        assert tls.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
        assert tls.compression() is None
        assert len(tls.get_channel_binding("tls-unique")) > 0
    assert pair.client.tls.getpeercert()["subjectAltName"]
    assert pair.client.tls.getpeercert(True).startswith(b"0")
    assert pair.client.tls.server_hostname == "localhost"
    assert pair.server.tls.server_side
    assert pair.server.tls.shared_ciphers()
    assert pair.client.tls.context is client
    assert pair.client.tls.get_channel_binding() == pair.server.tls.get_channel_binding()


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_read_returns_many_records_at_once(
    contexts: Contexts, version: stdlib_ssl.TLSVersion
) -> None:
    pair = bio_pair(contexts.client(version), contexts.server(version))
    for _ in range(10):
        pair.client.tls.write(b"x" * 5000)
    pair.carry()
    assert pair.server.tls.read(50_000) == b"x" * 50_000
    pair.client.tls.write(b"y" * 50_000)
    pair.carry()
    buffer = bytearray(60_000)
    assert pair.server.tls.read(60_000, buffer) == 50_000
    assert buffer == b"y" * 50_000 + bytes(10_000)
