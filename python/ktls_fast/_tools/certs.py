"""Self-signed certificates for proxies that are started without a certificate."""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["LOOPBACK_NAMES", "fingerprint", "self_signed"]

FIRST_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL
)
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")

LIFETIME: Final = timedelta(days=365)
MAX_COMMON_NAME: Final = 64
CLOCK_SKEW: Final = timedelta(hours=1)


def self_signed(names: Sequence[str] = LOOPBACK_NAMES) -> tuple[bytes, bytes]:
    """Create a P-256 key and a certificate for ``names``, which are DNS names and IP addresses.

    The certificate is its own root: a client that trusts it as a root certificate accepts it.

    :returns: the certificate and the private key (PKCS#8), both as PEM.
    :raises ValueError: ``names`` is empty, or one is neither a DNS name nor an IP address.
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
    """Return the SHA-256 of the first certificate in ``cert`` (PEM), as OpenSSL prints it."""
    found = FIRST_CERTIFICATE.search(cert)
    der = base64.b64decode(found[1]) if found else b""
    return hashlib.sha256(der[: _element_length(der)]).digest().hex(":").upper()


def _element_length(der: bytes) -> int:
    """Return the length of the first DER element, in bytes.

    In a TRUSTED CERTIFICATE, OpenSSL's trust settings follow the certificate.
    """
    size_of_length = der[1] & 0x7F if len(der) > 1 else 0
    return 2 + size_of_length + int.from_bytes(der[2 : 2 + size_of_length])


def _sign(key: "EllipticCurvePrivateKey", names: Sequence[str]) -> "x509.Certificate":
    """Return a signed certificate without basicConstraints and keyUsage.

    rustls rejects a CA as an end entity. OpenSSL rejects a root whose key may not sign
    certificates. Both accept a certificate that states neither.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    alternatives = [_general_name(name) for name in names]
    common_name = str(alternatives[0].value)[:MAX_COMMON_NAME]  # clients check only alternatives
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        return x509.DNSName(_ascii(name))


def _ascii(name: str) -> str:
    """Return a DNS name as it stands in certificates: IDNA-encoded, without a trailing dot."""
    try:
        return name.rstrip(".").encode("idna").decode()
    except UnicodeError as error:
        msg = f"{name!r} is not a host name"
        raise ValueError(msg) from error
