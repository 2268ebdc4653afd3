"""A server whose certificate is replaced while it runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    ConfigError,
    Connection,
    ServerConfig,
)
from tests.peers.ours import client_config, server_config
from tests.peers.pki import pki
from tests.peers.server_names import der, several, shake, shown
from tests.peers.stdlib import TLS12, TLS13, client_context
from tests.peers.support import DEADLINE, answer, dial, listener, port_of, start

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


@VERSIONS
def test_new_handshakes_use_the_certificate_that_was_loaded_last(
    pems: Path, version: ssl.TLSVersion
) -> None:
    config = several()
    with listener() as listening:
        port = port_of(listening)

        def one_handshake() -> bytes | None:
            served = start(lambda: Connection.server(answer(listening), config))
            context = client_context(pems, version)
            context.check_hostname = False
            with context.wrap_socket(dial(port), server_hostname="localhost") as sock:
                served.result(DEADLINE).close()
                return sock.getpeercert(binary_form=True)

        assert one_handshake() == der(pki().server)
        config.reload(pki().server_rsa.cert, pki().server_rsa.key)
        assert one_handshake() == der(pki().server_rsa)
    # None of the others was replaced.
    assert shown(config, client_context(pems, version), "alpha.test") == der(pki().alpha)
    config.reload(pki().server.cert, pki().server.key, identities=[])
    assert shown(config, client_context(pems, version), "alpha.test") == der(pki().server)


def test_a_handshake_that_has_begun_keeps_its_certificate(pems: Path) -> None:
    config = server_config()

    def resolve(_: str | None) -> ServerConfig:
        # The handshake that this call chooses for begins with the result.
        config.reload(pki().alpha.cert, pki().alpha.key)
        return config

    outer = server_config(resolver=resolve)
    assert shown(outer, client_context(pems), "localhost") == der(pki().alpha)
    near, served = shake(config)
    with near:
        config.reload(pki().server_rsa.cert, pki().server_rsa.key)
        context = client_context(pems)
        context.check_hostname = False
        with context.wrap_socket(near, server_hostname="localhost") as sock:
            served.result(DEADLINE).close()
            shown_now = sock.getpeercert(binary_form=True)
    assert shown_now in (der(pki().alpha), der(pki().server_rsa))


@pytest.mark.parametrize(
    ("cert", "key", "text"),
    [
        (pki().alpha.cert, pki().server.key, "does not belong"),
        (b"junk", pki().server.key, "cert"),
        (pki().alpha.cert, b"junk", "key"),
        (b"", b"", "cert"),
    ],
)
def test_a_refused_reload_changes_nothing(pems: Path, cert: bytes, key: bytes, text: str) -> None:
    config = server_config()
    with pytest.raises(ConfigError, match=text):
        config.reload(cert, key)
    assert shown(config, client_context(pems), "localhost") == der(pki().server)


def test_a_session_is_resumed_after_a_reload(pems: Path) -> None:
    config = server_config()
    client = client_config()
    resumed = []
    for _ in range(2):
        near, served = shake(config)
        with (
            Connection.client(near, client, "localhost") as conn,
            served.result(DEADLINE) as server,
        ):
            server.sendall(b"x")
            assert conn.read(1) == b"x"
            resumed.append(server.resumed)
        config.reload(pki().server_rsa.cert, pki().server_rsa.key)
    assert resumed == [False, True]


def test_threads_see_either_certificate_while_it_is_replaced(pems: Path) -> None:
    config, stop = server_config(), threading.Event()
    both = [pki().server, pki().server_rsa]

    def replace() -> None:
        while not stop.is_set():
            for identity in both:
                config.reload(identity.cert, identity.key)

    replacing = start(replace)
    try:
        seen = {shown(config, client_context(pems), "localhost") for _ in range(10)}
    finally:
        stop.set()
        replacing.result(DEADLINE)
    assert seen <= set(map(der, both))
