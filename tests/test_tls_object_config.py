"""The configuration of TLS objects: the resolver of a server, groups, and exported material."""

from __future__ import annotations

import gc
import ssl
import threading
import weakref

import pytest

from ktls_fast import HandshakeError, KtlsError, ServerIdentity, TLSObject, WantReadError
from tests.peers.ours import client_config, server_config
from tests.peers.pki import pki
from tests.tls_objects import (
    TLS12,
    TLS13,
    SslEnd,
    exchange,
    objects,
    read_all,
    shake,
    shaken,
    ssl_context,
)

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


def alpha(_: str | None) -> ServerIdentity:
    return ServerIdentity(pki().alpha.cert, pki().alpha.key)


def leaf_of_alpha() -> bytes:
    return ssl.PEM_cert_to_DER_cert(pki().alpha.cert.decode())


def careless_client(version: ssl.TLSVersion = TLS13) -> SslEnd:
    """Return a client that accepts a certificate for another name."""
    context = ssl_context(version, server_side=False)
    context.check_hostname = False
    return SslEnd(context, server_side=False)


@VERSIONS
def test_the_resolver_chooses_the_certificate(version: ssl.TLSVersion) -> None:
    asked: list[str | None] = []

    def resolve(name: str | None) -> ServerIdentity:
        asked.append(name)
        return alpha(name)

    client, server = careless_client(version), TLSObject.server(server_config(resolver=resolve))
    shake(client, server)
    assert client.tls.getpeercert(binary_form=True) == leaf_of_alpha()
    assert (asked, server.server_name) == (["localhost"], "localhost")
    server.write(b"data")
    client.receive(server.data_to_send())
    assert client.read() == b"data"


def test_the_policy_of_a_chosen_configuration_is_used() -> None:
    chosen = server_config(rekey_records=2, tickets=0)
    server = TLSObject.server(server_config(resolver=lambda _: chosen))
    client = TLSObject.client(client_config(), "localhost")
    shake(client, server)
    for _ in range(7):
        server.write(b"x")
    exchange(client, server)
    assert (server.tx_generation, read_all(client)) == (3, b"x" * 7)


def test_the_object_wants_the_rest_of_the_hello_however_it_is_cut() -> None:
    client, server = careless_client(), TLSObject.server(server_config(resolver=alpha))
    with pytest.raises(WantReadError):
        client.do_handshake()
    hello = client.data_to_send()
    for index, byte in enumerate(hello):
        assert 0 < server.wants <= len(hello) - index
        assert server.unsent == 0
        server.receive(bytes([byte]))
    assert server.unsent > 0
    shake(client, server)
    assert client.tls.getpeercert(binary_form=True) == leaf_of_alpha()


def test_a_hello_in_many_records_is_read() -> None:
    client, server = careless_client(), TLSObject.server(server_config(resolver=alpha))
    with pytest.raises(WantReadError):
        client.do_handshake()
    message = client.data_to_send()[5:]
    for start in range(0, len(message), 10):
        piece = message[start : start + 10]
        assert server.wants == 5
        server.receive(b"\x16\x03\x01\x00" + bytes([len(piece)]))
        assert server.wants == len(piece)
        server.receive(piece)
    shake(client, server)
    assert client.tls.getpeercert(binary_form=True) == leaf_of_alpha()


def test_the_resolver_may_use_the_object_and_other_threads_may_meanwhile() -> None:
    seen: list[object] = []

    def use() -> None:
        seen.extend([server.data_to_send(), server.pending(), server.handshake_complete])
        with pytest.raises(WantReadError):
            server.do_handshake()
        server.receive(b"")

    def resolve(name: str | None) -> ServerIdentity:
        use()
        thread = threading.Thread(target=use)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        return alpha(name)

    client, server = careless_client(), TLSObject.server(server_config(resolver=resolve))
    shake(client, server)
    assert seen == [b"", 0, False] * 2
    assert client.tls.getpeercert(binary_form=True) == leaf_of_alpha()


def test_an_exception_of_the_resolver_is_the_cause_of_the_errors_of_later_calls() -> None:
    error = LookupError("no such name")

    def resolve(_: str | None) -> None:
        raise error

    client, server = careless_client(), TLSObject.server(server_config(resolver=resolve))
    with pytest.raises(WantReadError):
        client.do_handshake()
    server.receive(client.data_to_send())
    for call in (server.do_handshake, server.read, lambda: server.write(b"x")):
        with pytest.raises(HandshakeError, match="the resolver raised LookupError") as raised:
            call()
        assert raised.value.__cause__ is error
    client.receive(server.data_to_send())
    with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
        client.do_handshake()


def test_an_exception_that_is_none_of_errors_leaves_the_call_that_received() -> None:
    def resolve(_: str | None) -> None:
        raise KeyboardInterrupt

    client, server = careless_client(), TLSObject.server(server_config(resolver=resolve))
    with pytest.raises(WantReadError):
        client.do_handshake()
    with pytest.raises(KeyboardInterrupt):
        server.receive(client.data_to_send())
    with pytest.raises(HandshakeError, match="the resolver raised KeyboardInterrupt"):
        server.do_handshake()
    assert server.unsent > 0


def test_an_object_that_its_resolver_refers_to_is_collected() -> None:
    class Chooser:
        server: TLSObject

        def __call__(self, _: str | None) -> None:
            return None

    chooser = Chooser()
    chooser.server = TLSObject.server(server_config(resolver=chooser))
    gone = weakref.ref(chooser)
    del chooser
    gc.collect()
    assert gone() is None


def test_a_reload_is_for_objects_that_are_made_later() -> None:
    config = server_config()
    before, client = TLSObject.server(config), careless_client()
    config.reload(pki().alpha.cert, pki().alpha.key)
    shake(client, before)
    assert client.tls.getpeercert(binary_form=True) != leaf_of_alpha()
    after, client = TLSObject.server(config), careless_client()
    shake(client, after)
    assert client.tls.getpeercert(binary_form=True) == leaf_of_alpha()


@pytest.mark.parametrize("prefers", [False, True])
def test_the_group_is_known_after_the_handshake(prefers: bool) -> None:
    server = TLSObject.server(server_config(prefer_post_quantum=prefers))
    client = TLSObject.client(client_config(), "localhost")
    assert (server.group, client.group) == (None, None)
    shake(client, server)
    group = "X25519MLKEM768" if prefers else "x25519"
    assert (server.group, client.group) == (group, group)


@VERSIONS
def test_both_ends_export_the_same(version: ssl.TLSVersion) -> None:
    client, server = shaken(version)
    for case in (("EXPORTER-a", 32), ("EXPORTER-b", 100, b"context")):
        exported = client.export_keying_material(*case)
        assert exported == server.export_keying_material(*case)
        assert len(exported) == case[1]
    assert client.export_keying_material("a", 32) != client.export_keying_material("b", 32)


def test_nothing_is_exported_without_a_handshake_of_ours() -> None:
    client = TLSObject.client(client_config(), "localhost")
    with pytest.raises(ValueError, match="not complete"):
        client.export_keying_material("EXPORTER-a", 32)
    for end in objects():
        with pytest.raises(KtlsError, match="no secret to export"):
            end.export_keying_material("EXPORTER-a", 32)
