"""A directory with the certificate and the cipher suite of ends in different processes."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from ktls_fast._tools import certs

if TYPE_CHECKING:
    from pathlib import Path

SUITE: Final = "TLS_AES_128_GCM_SHA256"
# Python cannot set the TLS 1.3 cipher suite of an SSLContext, but OpenSSL reads this file.
OPENSSL_CONF: Final = f"""\
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = tls
[tls]
MinProtocol = TLSv1.3
Ciphersuites = {SUITE}
"""


def write(folder: Path) -> None:
    """Write a certificate for the loopback names, its key, and OpenSSL's configuration."""
    cert, key = certs.self_signed()
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    (folder / "both.pem").write_bytes(cert + key)
    (folder / "openssl.cnf").write_text(OPENSSL_CONF)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables that make OpenSSL read the configuration."""
    return {"OPENSSL_CONF": str(folder / "openssl.cnf")}


def server_context(folder: Path) -> ssl.SSLContext:
    """Return a server context of the standard library."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


def client_context(folder: Path) -> ssl.SSLContext:
    """Return a client context of the standard library that trusts the certificate."""
    return ssl.create_default_context(cafile=folder / "cert.pem")
