"""Self-signed certificates for proxies that were given none."""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["LOOPBACK_NAMES", "fingerprint", "self_signed"]

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")

LIFETIME: Final = timedelta(days=365)
CLOCK_SKEW: Final = timedelta(hours=1)


def self_signed(names: Sequence[str] = LOOPBACK_NAMES) -> tuple[bytes, bytes]:
    """Make a P-256 key and a certificate for ``names``, DNS names and IP addresses, as PEM.

    The certificate is its own root: a client that is given it as root certificate accepts it.

    :returns: certificate, private key (PKCS#8).
    :raises ValueError: no names, or one that is neither a DNS name nor an IP address.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if not names:
        msg = "a certificate needs at least one name"
        raise ValueError(msg)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key, names)
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def fingerprint(cert: bytes) -> str:
    """The SHA-256 of the first certificate in ``cert`` (PEM), in the form that OpenSSL prints."""
    body = cert.partition(b"-----BEGIN CERTIFICATE-----")[2].partition(b"-----END")[0]
    return hashlib.sha256(base64.b64decode(body)).digest().hex(":").upper()


def _sign(key: "EllipticCurvePrivateKey", names: Sequence[str]) -> "x509.Certificate":
    """Sign without basicConstraints and keyUsage.

    rustls refuses a CA as end entity, and OpenSSL a root whose key may not sign certificates;
    a certificate that says neither passes both.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
