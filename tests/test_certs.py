"""Self-signed certificates, as others see them."""

import datetime
import hashlib
import re
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from ktls_fast._tools import certs


def test_a_certificate_is_valid_now_and_for_its_names() -> None:
    cert, _ = certs.self_signed(["localhost", "127.0.0.1", "::1"])
    parsed = x509.load_pem_x509_certificate(cert)
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    now = datetime.datetime.now(datetime.UTC)
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert parsed.not_valid_before_utc < now < parsed.not_valid_after_utc
    parsed.verify_directly_issued_by(parsed)


def test_each_certificate_has_its_own_key() -> None:
    assert certs.self_signed()[1] != certs.self_signed()[1]


def test_fingerprint_is_that_of_the_der_form() -> None:
    cert, _ = certs.self_signed()
    der = ssl.PEM_cert_to_DER_cert(cert.decode())
    assert re.fullmatch("(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", certs.fingerprint(cert))
    assert certs.fingerprint(cert).replace(":", "").lower() == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("names", [[], ["a..b"], ["x" * 64], ["\u00fc" * 70]])
def test_names_that_no_certificate_can_hold_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"at least one name|is not a host name"):
        certs.self_signed(names)


@pytest.mark.parametrize(
    ("name", "certified"),
    [
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("\u4f8b\u3048.test", "xn--r8jz45g.test"),
        ("a.test.", "a.test"),
        ("a" * 63 + ".test", "a" * 63 + ".test"),
    ],
)
def test_a_host_name_is_certified_in_the_form_that_clients_use(name: str, certified: str) -> None:
    cert, _ = certs.self_signed([name])
    names = x509.load_pem_x509_certificate(cert).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == [certified]


def test_an_address_is_certified_without_its_zone() -> None:
    cert, _ = certs.self_signed(["fe80::1%lo"])
    names = x509.load_pem_x509_certificate(cert).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == ["fe80::1"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("flags", [ssl.VerifyFlags(0), ssl.VERIFY_X509_STRICT])
def test_openssl_accepts_it_as_its_own_root(
    name: str, flags: ssl.VerifyFlags, tmp_path: Path
) -> None:
    cert, key = certs.self_signed()
    context = ssl.create_default_context(cadata=cert.decode())
    context.verify_flags |= flags
    server = _server_context(tmp_path / "both.pem", cert + key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    peer = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for end in (client, peer):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def _server_context(file: Path, pem: bytes) -> ssl.SSLContext:
    file.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
