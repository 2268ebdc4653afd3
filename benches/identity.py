"""What ends in other processes need to trust each other and to use one suite, in a folder."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from ktls_fast._tools import certs

if TYPE_CHECKING:
    from pathlib import Path

SUITE: Final = "TLS_AES_128_GCM_SHA256"
# Python cannot choose the TLS 1.3 suite of an SSLContext, but its library reads this file.
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
    """Make a certificate for the loopback names, its key, and OpenSSL's configuration."""
    cert, key = certs.self_signed()
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    (folder / "both.pem").write_bytes(cert + key)
    (folder / "openssl.cnf").write_text(OPENSSL_CONF)


def environment(folder: Path) -> dict[str, str]:
    """What makes OpenSSL read the configuration."""
    return {"OPENSSL_CONF": str(folder / "openssl.cnf")}


def server_context(folder: Path) -> ssl.SSLContext:
    """The stdlib's server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


def client_context(folder: Path) -> ssl.SSLContext:
    """The stdlib's client, which trusts the certificate."""
    return ssl.create_default_context(cafile=folder / "cert.pem")
