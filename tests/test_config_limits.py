"""Configurations at the borders of the protocol's length fields, against the standard library."""

import datetime
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import ktls_fast
from ktls_fast import ClientConfig, ConfigError, ServerConfig
from tests.peers.pki import pki

DAY = datetime.timedelta(days=1)
Pair = Callable[[], tuple[Any, Any]]


def idle_authorities(count: int) -> bytes:
    """Certificates of authorities that issue nothing, each with a name of about 95 bytes."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def certificate(number: int) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{number:0>64} authority"[:64])])
        builder = x509.CertificateBuilder(name, name, key.public_key(), number + 1)
        builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        signed = builder.sign(key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    return b"".join(certificate(number) for number in range(count))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("count", [10, 1000])
def test_clients_authenticate_to_a_server_with_many_authorities(
    count: int, version: ssl.TLSVersion, tcp_pair: Pair, tmp_path: Path
) -> None:
    roots = idle_authorities(count) + pki().roots
    config = ServerConfig(
        pki().server.cert, pki().server.key, client_roots=roots, require_client_cert=True
    )
    pki().write_to(tmp_path)
    context = ssl.create_default_context(cafile=tmp_path / "roots.pem")
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    context.maximum_version = version
    near, far = tcp_pair()
    names: list[str] = []

    def connect() -> None:
        with context.wrap_socket(near, server_hostname="localhost") as tls:
            names.append(tls.version() or "")
            tls.recv(1)

    client = threading.Thread(target=connect, daemon=True)
    client.start()
    with ktls_fast.accept(far, config) as connection:
        connection.sendall(b"x")
    client.join(10)
    assert names == [version.name.replace("_", ".")]


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (lambda: ClientConfig(pki().roots, alpn=["x" * 255] * 257), ("257", "65792", "28671")),
        (lambda: ClientConfig(pki().roots, alpn=["h2"] * 9558), ("9558", "28674", "28671")),
        (lambda: ClientConfig(pki().roots, alpn=["x" * 256]), ("255", "256")),
        (lambda: _server(alpn=["\u00fc" * 128]), ("255", "256")),
        (lambda: _server(tickets=256), ("256", "255")),
        (lambda: _server(tickets=2**63), (str(2**63), "255")),
        (lambda: _server(cert=pki().server.cert + _filler(17_000_000)), ("2 ", "16777211")),
    ],
)
def test_a_length_over_the_limit_is_a_value_error_with_both_numbers(
    make: Callable[[], object], numbers: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at below
        make()
    assert isinstance(caught.value, ConfigError)
    assert [number for number in numbers if number not in str(caught.value)] == []


def test_a_length_at_the_limit_is_accepted() -> None:
    ClientConfig(pki().roots, alpn=["h2"] * 9557)
    ClientConfig(pki().roots, alpn=["x" * 255] * 111)
    ClientConfig(pki().roots, suites=["TLS_AES_128_GCM_SHA256"] * 40_000)
    _server(alpn=["x" * 255] * 1000)
    _server(tickets=255)


def _server(*, cert: bytes | None = None, **options: object) -> ServerConfig:
    return ServerConfig(cert or pki().server.cert, pki().server.key, **options)  # type: ignore[arg-type]


def _filler(size: int) -> bytes:
    """Return a certificate of ``size`` bytes without valid contents."""
    return b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % (
        b"A" * (size // 3 * 4)
    )
