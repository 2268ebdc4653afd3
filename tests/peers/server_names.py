"""Servers with several certificates, and what their clients see."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    Connection,
    ServerConfig,
    ServerIdentity,
)
from tests.peers.pki import CertificateAndKey, pki
from tests.peers.stdlib import TLS12, TLS13
from tests.peers.support import DEADLINE, socket_pair, start

if TYPE_CHECKING:
    import socket
    from concurrent.futures import Future

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


def der(identity: CertificateAndKey) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.cert.decode())


def identity_of(identity: CertificateAndKey) -> ServerIdentity:
    return ServerIdentity(identity.cert, identity.key)


def shake(config: ServerConfig) -> tuple[socket.socket, Future[Connection]]:
    """Return the client's socket, and a future of our server's connection."""
    near, far = socket_pair()
    return near, start(lambda: Connection.server(far, config))


def shown(config: ServerConfig, context: ssl.SSLContext, name: str | None) -> bytes | None:
    """Return the certificate that our server shows to a client of the standard library."""
    near, served = shake(config)
    context.check_hostname = False
    with context.wrap_socket(near, server_hostname=name) as sock:
        certificate = sock.getpeercert(binary_form=True)
        served.result(DEADLINE).close()
        return certificate


def several() -> ServerConfig:
    main, others = pki().server, (pki().alpha, pki().wildcard)
    return ServerConfig(main.cert, main.key, identities=map(identity_of, others))
