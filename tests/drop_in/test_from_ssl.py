"""``ktls_fast.from_ssl``: taking over connections of the standard library."""

import errno
import ssl
from typing import Any

import pytest

import ktls_fast
from ktls_fast import Connection, KtlsError, TLSObject
from ktls_fast import ssl as drop_in
from tests.drop_in.contexts import (
    TLS12,
    TLS13,
    VERSIONS,
    BioPair,
    Contexts,
    bio_pair,
    connected,
)
from tests.drop_in.test_socket import read_exactly

SIDES = pytest.mark.parametrize("side", ["client", "server"])


def prepared_pair(contexts: Contexts, version: ssl.TLSVersion) -> BioPair:
    """Return a pair of contexts of the standard library, both prepared."""
    client, server = contexts.client(version, ssl), contexts.server(version, ssl)
    for context in (client, server):
        ktls_fast.prepare(context)
    return bio_pair(client, server)


def swap(near: Any, tls: TLSObject, peer: Any) -> None:
    """Send in both directions between a TLSObject and a BioEnd."""
    tls.write(b"from us" * 5000)
    peer.incoming.write(tls.data_to_send())
    assert peer.read_all() == b"from us" * 5000
    peer.tls.write(b"to us" * 5000)
    tls.receive(near.outgoing.read() if near is not None else peer.outgoing.read())
    assert tls.read(1 << 20) == b"to us" * 5000


def take(pair: BioPair, side: str) -> tuple[TLSObject, Any]:
    """Take over one end; return it and the other one."""
    ours, peer = (pair.client, pair.server) if side == "client" else (pair.server, pair.client)
    pair.carry()
    return ktls_fast.from_ssl(ours.tls), peer


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_an_object_is_taken_over_after_the_handshake(
    contexts: Contexts, version: ssl.TLSVersion, side: str
) -> None:
    tls, peer = take(prepared_pair(contexts, version), side)
    swap(None, tls, peer)


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_an_object_is_taken_over_after_data(
    contexts: Contexts, version: ssl.TLSVersion, side: str
) -> None:
    pair = prepared_pair(contexts, version)
    for _ in range(3):
        for near, far in ((pair.client, pair.server), (pair.server, pair.client)):
            near.tls.write(b"before" * 10_000)
            pair.carry()
            assert far.read_all() == b"before" * 10_000
    tls, peer = take(pair, side)
    swap(None, tls, peer)


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keep", [0, 3, 5, 20])
def test_unread_plaintext_and_ciphertext_are_carried_over(
    contexts: Contexts, version: ssl.TLSVersion, side: str, keep: int
) -> None:
    pair = prepared_pair(contexts, version)
    ours, peer = (pair.client, pair.server) if side == "client" else (pair.server, pair.client)
    pair.carry()
    peer.tls.write(b"first record")
    first = peer.outgoing.read()
    peer.tls.write(b"second record")
    second = peer.outgoing.read()
    peer.tls.write(b"third record")
    third = peer.outgoing.read()
    ours.incoming.write(first + second + third[:keep])
    assert ours.tls.read(5) == b"first"
    tls = ktls_fast.from_ssl(ours.tls)
    assert tls.read(100) == b" recordsecond record"
    tls.receive(third[keep:])
    assert tls.read(100) == b"third record"
    swap(None, tls, peer)


@SIDES
def test_key_updates_that_openssl_did_before_are_counted(contexts: Contexts, side: str) -> None:
    """The peer is the engine, which can send KeyUpdates; OpenSSL answers them."""
    ours_is_client = side == "client"
    client = contexts.client(TLS13, ssl if ours_is_client else drop_in)
    server = contexts.server(TLS13, drop_in if ours_is_client else ssl)
    ktls_fast.prepare(client if ours_is_client else server)
    pair = bio_pair(client, server)
    ours, peer = (pair.client, pair.server) if ours_is_client else (pair.server, pair.client)
    for number in range(3):
        peer.tls.write(b"hello")  # as long as a KeyUpdate
        peer.tls.key_update(request_peer=number != 1)
        peer.tls.write(b"data")
        pair.carry()
        assert ours.read_all() == b"hellodata"
        ours.tls.write(b"howdy")
        ours.tls.write(b"answer")
        pair.carry()
        assert peer.read_all() == b"howdyanswer"
    tls = ktls_fast.from_ssl(ours.tls)
    assert peer.tls.generation == (3, 2)
    swap(None, tls, peer)


@pytest.mark.parametrize("version", VERSIONS)
@SIDES
def test_a_socket_becomes_a_connection(
    contexts: Contexts, version: ssl.TLSVersion, side: str
) -> None:
    client, server = contexts.client(version, ssl), contexts.server(version, ssl)
    ktls_fast.prepare(client if side == "client" else server)
    with connected(client, server) as ends:
        ours, peer = ends if side == "client" else reversed(ends)
        peer.sendall(b"one record")
        assert ours.recv(4) == b"one "
        with ktls_fast.from_ssl(ours) as connection:
            assert type(connection) is Connection
            assert ours.fileno() == -1
            assert connection.gettimeout() == 60
            assert connection.read(100) == b"record"
            connection.sendall(b"answer")
            assert read_exactly(peer, 6) == b"answer"
            connection.close_notify()
            assert peer.recv(1) == b""


def refused(number: int, text: str, connection: Any) -> None:
    with pytest.raises(KtlsError, match=text) as caught:
        ktls_fast.from_ssl(connection)
    assert caught.value.errno == number


def test_a_context_that_was_not_prepared_is_named(contexts: Contexts) -> None:
    pair = bio_pair(contexts.client(module=ssl), contexts.server(module=ssl))
    refused(errno.EINVAL, r"call ktls_fast\.prepare before the handshake", pair.client.tls)
    with connected(contexts.client(module=ssl), contexts.server(module=ssl)) as (ours, peer):
        refused(errno.EINVAL, r"call ktls_fast\.prepare", ours)
        peer.sendall(b"still here")
        assert ours.recv(100) == b"still here"


def test_a_refused_connection_stays_usable(contexts: Contexts) -> None:
    server = contexts.server(TLS12, ssl)
    server.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    ktls_fast.prepare(server)
    pair = bio_pair(contexts.client(TLS12, ssl), server)
    refused(errno.EOPNOTSUPP, "stays with OpenSSL: cipher suite", pair.server.tls)
    pair.client.tls.write(b"usable")
    pair.carry()
    assert pair.server.tls.read(100) == b"usable"


def test_a_handshake_must_be_complete(contexts: Contexts) -> None:
    context = contexts.client(module=ssl)
    ktls_fast.prepare(context)
    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    refused(errno.EINVAL, "the handshake is not complete", tls)


def test_a_connection_that_has_ended_is_refused(contexts: Contexts) -> None:
    pair = prepared_pair(contexts, TLS13)
    pair.client.step(pair.client.tls.unwrap)
    refused(errno.ENOTCONN, "close_notify", pair.client.tls)
    pair.carry()
    assert pair.server.tls.read(10) == b""
    refused(errno.ENOTCONN, "close_notify", pair.server.tls)


def test_a_second_call_is_refused(contexts: Contexts) -> None:
    pair = prepared_pair(contexts, TLS13)
    ktls_fast.from_ssl(pair.client.tls)
    refused(errno.EINVAL, "carries this connection already", pair.client.tls)
    with pytest.raises(ValueError, match="was taken over"):
        pair.client.tls.read(1)
    assert pair.client.tls.version() == "TLSv1.3"


def test_a_bad_policy_changes_nothing(contexts: Contexts) -> None:
    pair = prepared_pair(contexts, TLS13)
    with pytest.raises((OSError, ValueError, OverflowError)):
        ktls_fast.from_ssl(pair.client.tls, rekey_bytes=-1)
    tls, peer = take(pair, "client")
    swap(None, tls, peer)


@pytest.mark.parametrize("value", [None, 1, b"x"])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        ktls_fast.from_ssl(value)
    with pytest.raises(TypeError):
        ktls_fast.prepare(value)
