"""The certificate of a server by the name that the client asks for, and its replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    ServerConfig,
)
from tests.peers.ours import echo, serve_once, server_config
from tests.peers.pki import pki
from tests.peers.process import ProgramProcess
from tests.peers.server_names import der, identity_of, several, shown
from tests.peers.stdlib import TLS12, TLS13, client_context
from tests.peers.support import DEADLINE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


@VERSIONS
@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("localhost", "server"),
        ("alpha.test", "alpha"),
        ("ALPHA.test", "alpha"),
        ("one.wild.test", "wildcard"),
        ("two.wild.test", "wildcard"),
        ("wild.test", "server"),
        ("deep.one.wild.test", "server"),
        ("unknown.test", "server"),
        (None, "server"),
    ],
)
def test_a_client_gets_the_certificate_for_its_name(
    pems: Path, version: ssl.TLSVersion, name: str | None, owner: str
) -> None:
    expected = der(getattr(pki(), owner))
    assert shown(several(), client_context(pems, version), name) == expected


@VERSIONS
def test_a_client_gets_a_certificate_whose_key_it_accepts(
    pems: Path, version: ssl.TLSVersion
) -> None:
    ecdsa, rsa = pki().server, pki().server_rsa
    config = ServerConfig(ecdsa.cert, ecdsa.key, identities=[identity_of(rsa)])
    assert shown(config, client_context(pems, version), "localhost") == der(ecdsa)
    context = client_context(pems, TLS12)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    assert shown(config, context, "localhost") == der(rsa)


def test_s_client_gets_the_certificate_for_its_name(
    require_tool: Callable[[str], str], pems: Path
) -> None:
    port, served = serve_once(echo, several())
    command = [require_tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port}"]
    command += ["-servername", "one.wild.test", "-CAfile", str(pems / "roots.pem")]
    with ProgramProcess(command) as client:
        client.output.until(b"subject=CN = *.wild.test")
        assert client.finish() == 0
    served.result(DEADLINE)


def test_gnutls_cli_verifies_the_certificate_for_its_name(
    require_tool: Callable[[str], str], pems: Path
) -> None:
    port, served = serve_once(echo, several())
    command = [require_tool("gnutls-cli"), "-p", str(port), "127.0.0.1"]
    command += ["--sni-hostname=alpha.test", "--verify-hostname=alpha.test"]
    command += [f"--x509cafile={pems / 'roots.pem'}"]
    with ProgramProcess(command) as client:
        client.output.until(b"Handshake was completed")
        assert client.finish() == 0
    served.result(DEADLINE)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"resolver": "alpha.test"}, "function"),
        ({"identities": [1]}, "ServerIdentity"),
        ({"identities": [pki().alpha]}, "ServerIdentity"),
        ({"identities": 1}, "iterable"),
    ],
)
def test_a_wrong_type_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        server_config(**options)  # type: ignore[arg-type]
