"""A small test PKI, which is created for each run."""

from __future__ import annotations

import datetime
import functools
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = datetime.timedelta(days=1)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class CertificateAndKey:
    """A certificate and its private key, both as PEM."""

    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Pki:
    """The certificates of the tests: those of servers are for ``localhost`` and 127.0.0.1."""

    roots: bytes
    """The authority that has signed all identities."""
    stranger: bytes
    """Another authority, which has signed none of them."""
    server: CertificateAndKey
    server_rsa: CertificateAndKey
    expired: CertificateAndKey
    alpha: CertificateAndKey
    """For ``alpha.test``."""
    wildcard: CertificateAndKey
    """For ``*.wild.test``."""
    client: CertificateAndKey

    def write_to(self, folder: Path) -> None:
        """Write the PEM files for command-line programs."""
        (folder / "roots.pem").write_bytes(self.roots)
        (folder / "stranger.pem").write_bytes(self.stranger)
        for name in ("server", "server_rsa", "expired", "client"):
            identity: CertificateAndKey = getattr(self, name)
            (folder / f"{name}.pem").write_bytes(identity.cert)
            (folder / f"{name}.key").write_bytes(identity.key)


@functools.cache
def pki() -> Pki:
    """Return the PKI, which is created once."""
    authority = _Authority("test authority")
    return Pki(
        roots=authority.pem,
        stranger=_Authority("another authority").pem,
        server=authority.issue("localhost"),
        server_rsa=authority.issue("localhost", rsa.generate_private_key(65537, 2048)),
        expired=authority.issue("localhost", days=-1),
        alpha=authority.issue("alpha.test"),
        wildcard=authority.issue("*.wild.test"),
        client=authority.issue("a client"),
    )


def key_pem(key: PrivateKey, form: serialization.PrivateFormat) -> bytes:
    """Return a private key as PEM: PKCS8, or TraditionalOpenSSL for PKCS#1 and SEC1."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain)


class _Authority:
    """A root authority that signs leaf certificates."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._name, self._key, days=30)
        for extension in (x509.BasicConstraints(ca=True, path_length=0), _SIGNS_CERTIFICATES):
            builder = builder.add_extension(extension, critical=True)
        self.pem = _pem(self._sign(builder))

    def issue(
        self, name: str, key: PrivateKey | None = None, *, days: int = 30
    ) -> CertificateAndKey:
        """Issue a leaf for ``name`` that expires in ``days`` days, or has expired if negative."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), self._name, key, days=days)
        for extension in _leaf_extensions(name):
            builder = builder.add_extension(extension, critical=False)
        cert = self._sign(builder)
        return CertificateAndKey(_pem(cert), key_pem(key, serialization.PrivateFormat.PKCS8))

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign with an Authority Key Identifier, which OpenSSL's strict check requires.

        The strict check is the default since Python 3.13.
        """
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(signer, critical=False).sign(self._key, hashes.SHA256())


def _leaf_extensions(name: str) -> list[x509.ExtensionType]:
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    host = x509.DNSName(name.replace(" ", "-"))
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return [x509.SubjectAlternativeName([host, loopback]), x509.ExtendedKeyUsage(purposes)]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    named = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(named, critical=False)
    return builder.not_valid_before(now - 30 * _DAY).not_valid_after(now + days * _DAY)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)
