"""The last flight of a client in every cut: Finished, data, KeyUpdates and close_notify."""

import ssl as stdlib_ssl
from types import ModuleType

import pytest

from ktls_fast import ssl
from tests.drop_in.contexts import TLS12, TLS13, BioEnd, Contexts, is_ours

MODULES = pytest.mark.parametrize("module", [ssl, stdlib_ssl], ids=["ours", "stdlib"])
DATA = b"one", b"two" * 100


def last_flight(contexts: Contexts, server: BioEnd, version: stdlib_ssl.TLSVersion) -> bytes:
    """Return all that a client sends from its Finished to the end."""
    client = BioEnd(contexts.client(version))
    done = False
    while not done:
        done = client.step(client.tls.do_handshake)
        if not done:
            server.incoming.write(client.outgoing.read())
            server.step(server.tls.do_handshake)
            client.incoming.write(server.outgoing.read())
    for number, data in enumerate(DATA):
        client.tls.write(data)
        if version == TLS13:
            client.tls.key_update(request_peer=number == 0)
    client.step(client.tls.unwrap)
    return client.outgoing.read()


def receive(server: BioEnd, pieces: list[bytes]) -> bytes:
    """Read what arrives in pieces until close_notify, as uvloop does."""
    received = bytearray()
    finished = False
    for piece in pieces:
        server.incoming.write(piece)
        while not finished and (server.incoming.pending or server.tls.pending()):
            if server.tls.version() is None or not received:
                server.step(server.tls.do_handshake)
            try:
                got = server.tls.read(65536)
            except ssl.SSLWantReadError:
                break
            received += got
            finished = not got
    assert finished, f"no end after {len(received)} bytes"
    assert not server.tls.pending()
    return bytes(received)


@pytest.mark.parametrize("stays_with_openssl", [False, True])
def test_what_follows_the_finished_stays_in_the_bio(
    contexts: Contexts, stays_with_openssl: bool
) -> None:
    """Uvloop reads only while there is something in the BIO, or pending."""
    lengths = []
    for module in (ssl, stdlib_ssl):
        context = contexts.server(TLS13, module, post_handshake_auth=stays_with_openssl)
        server = BioEnd(context, server_side=True)
        server.incoming.write(last_flight(contexts, server, TLS13)[:-3])
        server.tls.do_handshake()
        lengths.append(server.incoming.pending)
    assert lengths[0] == lengths[1] > 0


@MODULES
def test_a_tls12_flight_is_read_in_every_cut(contexts: Contexts, module: ModuleType) -> None:
    every_cut(contexts, contexts.server(TLS12, module), TLS12)


def test_a_tls13_flight_is_read_in_every_cut(contexts: Contexts) -> None:
    every_cut(contexts, contexts.server(), TLS13)


def every_cut(
    contexts: Contexts, context: stdlib_ssl.SSLContext, version: stdlib_ssl.TLSVersion
) -> None:
    def begin() -> tuple[BioEnd, bytes]:
        server = BioEnd(context, server_side=True)
        return server, last_flight(contexts, server, version)

    server, flight = begin()
    assert receive(server, [bytes([byte]) for byte in flight]) == b"".join(DATA)
    for cut in range(0, len(flight), 7):
        server, flight = begin()
        assert receive(server, [flight[:cut], flight[cut:]]) == b"".join(DATA), cut
        assert is_ours(server.tls) if context.__class__ is ssl.SSLContext else True
    if version == TLS13:
        assert server.tls.generation == (1, 2)
