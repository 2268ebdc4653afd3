"""Invalid configurations are refused when they are created, with the reason."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat, load_pem_private_key

from ktls_fast import ClientConfig, KtlsError, ServerConfig
from tests.peers.pki import Pki, key_pem, pki

if TYPE_CHECKING:
    from pathlib import Path

BROKEN_PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

Refused = Callable[[Pki], object]

REFUSED: dict[str, tuple[Refused, str]] = {
    "no certificate": (lambda pki: ServerConfig(b"", pki.server.key), "certificate"),
    "certificate is garbage": (lambda pki: ServerConfig(b"junk", pki.server.key), "certificate"),
    "certificate does not parse": (
        lambda pki: ServerConfig(BROKEN_PEM, pki.server.key),
        "certificate",
    ),
    "no key": (lambda pki: ServerConfig(pki.server.cert, b""), "key"),
    "key is garbage": (lambda pki: ServerConfig(pki.server.cert, b"junk"), "key"),
    "key is a certificate": (lambda pki: ServerConfig(pki.server.cert, pki.server.cert), "key"),
    "key of another certificate": (
        lambda pki: ServerConfig(pki.server.cert, pki.client.key),
        "key",
    ),
    "key of another kind": (
        lambda pki: ServerConfig(pki.server.cert, pki.server_rsa.key),
        "key",
    ),
    "unknown version": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, min_version="TLSv1.1"),
        r"TLSv1\.1",
    ),
    "unknown suite": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, suites=["TLS_NULL"]),
        "TLS_NULL",
    ),
    "no suite": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, suites=[]),
        "suite",
    ),
    "client roots are garbage": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, client_roots=b"junk"),
        "root",
    ),
    "client certificate required without roots": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, require_client_cert=True),
        "client_roots",
    ),
    "key log in no folder": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, keylog="/does/not/exist/log"),
        "/does/not/exist/log",
    ),
    "roots are garbage": (lambda _: ClientConfig(b"junk"), "root"),
    "roots of unknown name": (lambda _: ClientConfig("everybody"), "everybody"),
    "client certificate without key": (
        lambda pki: ClientConfig(pki.roots, cert=pki.client.cert),
        "key",
    ),
    "client key without certificate": (
        lambda pki: ClientConfig(pki.roots, key=pki.client.key),
        "cert",
    ),
    "protocol name too long": (
        lambda pki: ClientConfig(pki.roots, alpn=["x" * 256]),
        "(?i)alpn|protocol",
    ),
    "empty protocol name": (
        lambda pki: ServerConfig(pki.server.cert, pki.server.key, alpn=[""]),
        "(?i)alpn|protocol",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_configuration_is_refused_with_its_reason(case: str) -> None:
    make, reason = REFUSED[case]
    with pytest.raises(OSError, match=reason) as caught:
        make(pki())
    if "log" not in case:
        assert isinstance(caught.value, KtlsError)
        assert caught.value.errno == errno.EINVAL


def test_every_usual_form_of_key_is_read() -> None:
    for identity in (pki().server, pki().server_rsa):
        key = load_pem_private_key(identity.key, None)
        assert isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            ServerConfig(identity.cert, key_pem(key, form))


def test_pem_is_accepted_from_any_buffer() -> None:
    identity = pki().server
    ServerConfig(bytearray(identity.cert), memoryview(identity.key))
    ClientConfig(memoryview(pki().roots))


def test_text_around_a_certificate_is_ignored() -> None:
    identity = pki().server
    ServerConfig(b"subject: a comment\n" + identity.cert + b"\nthe end\n", identity.key)


def test_no_key_is_shown_in_a_message(tmp_path: Path) -> None:
    secret = pki().client.key.decode().splitlines()[2]
    with pytest.raises(KtlsError) as caught:
        ServerConfig(pki().server.cert, pki().client.key, keylog=str(tmp_path / "log"))
    assert secret not in str(caught.value)
