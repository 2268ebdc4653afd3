"""PEM files as OpenSSL writes and reads them, and keys that cannot be used."""

import re
import shlex
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ktls_fast import ClientConfig, ConfigError, HandshakeError, ServerConfig
from tests.peers.pki import pki

PASSWORD = "p\u00e4ss word"

Openssl = Callable[..., bytes]


@pytest.fixture
def openssl(require_tool: Callable[[str], str]) -> Openssl:
    """``openssl("rand", "8")`` is what the program prints; it must succeed."""
    tool = require_tool("openssl")

    def run(*arguments: str, feed: bytes = b"") -> bytes:
        done = subprocess.run([tool, *arguments], input=feed, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "plain.key"
    file.write_bytes(pki().server.key)
    return file


def accepted(key: bytes, cert: bytes | None = None, **options: object) -> ServerConfig:
    return ServerConfig(cert or pki().server.cert, key, **options)  # type: ignore[arg-type]


def refusal(key: bytes, cert: bytes | None = None, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        accepted(key, cert, **options)
    assert caught.value.strerror is not None
    return caught.value.strerror


@pytest.mark.parametrize(
    "surround",
    [
        lambda pem: b"# this key is ENCRYPTED by nothing\n" + pem,
        lambda pem: pem + b"ENCRYPTED\n-----ENCRYPTED PRIVATE KEY-----\n",
        lambda pem: b"Bag Attributes\n    friendlyName: ENCRYPTED\nKey Attributes: <x>\n" + pem,
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem.replace(b"\n", b"\r"),
        lambda pem: pem.replace(b"\n", b" \t\n"),
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: pem.rstrip(b"\n"),
        lambda pem: pki().server.cert + pem + pki().roots,
        lambda pem: pem + pki().client.key,
        lambda pem: b"-----BEGIN me\n" + pem,
        lambda pem: b"-----BEGIN \xff-----\n-----BEGIN CERTIFICATE----\n" + pem,
        lambda pem: pem + b"-----BEGIN PRIVATE KEY-----\nAAAA",
        lambda pem: pem + b"-----BEGIN CERTIFICATE-----\n%%%%\n",
        lambda pem: (
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + pem
        ),
    ],
)
def test_a_key_is_found_whatever_stands_around_it(surround: Callable[[bytes], bytes]) -> None:
    accepted(surround(pki().server.key))


def test_what_openssl_writes_is_read(openssl: Openssl, key_file: Path, tmp_path: Path) -> None:
    cert_file, bundle = tmp_path / "cert.pem", tmp_path / "bundle.p12"
    cert_file.write_bytes(pki().server.cert)
    pair = ("-inkey", str(key_file), "-in", str(cert_file))
    openssl("pkcs12", "-export", *pair, "-passout", "pass:x", "-out", str(bundle))
    both = openssl("pkcs12", "-in", str(bundle), "-passin", "pass:x", "-nodes")
    assert b"Bag Attributes" in both
    accepted(both, both)

    printed = openssl("x509", "-in", str(cert_file), "-text")
    trusted = openssl("x509", "-in", str(cert_file), "-trustout", "-addtrust", "serverAuth")
    for cert in (printed, trusted, printed.replace(b" CERTIFICATE-", b" X509 CERTIFICATE-")):
        accepted(pki().server.key, cert)

    curve = openssl("ecparam", "-name", "prime256v1", "-genkey")
    assert b"EC PARAMETERS" in curve
    assert "does not belong" in refusal(curve)


@pytest.mark.parametrize(
    "how",
    [
        "",
        "-v2 aes-128-cbc",
        "-v2 aes-192-cbc -iter 1",
        "-v2 des3",
        "-v2 aes-256-cbc -v2prf hmacWithSHA1",
        "-v2 aes-256-cbc -v2prf hmacWithSHA512",
        "-scrypt -scrypt_N 1024",
    ],
)
def test_an_encrypted_key_is_opened_by_its_password(
    how: str, openssl: Openssl, key_file: Path
) -> None:
    command = ("pkcs8", "-topk8", "-in", str(key_file), "-passout", f"pass:{PASSWORD}")
    key = openssl(*command, *how.split())
    assert b"ENCRYPTED PRIVATE KEY" in key
    for password in (PASSWORD, PASSWORD.encode(), bytearray(PASSWORD.encode()), lambda: PASSWORD):
        accepted(key, password=password)
        ClientConfig(pki().roots, cert=pki().server.cert, key=key, password=password)
    accepted(b"a comment\r\n" + key.replace(b"\n", b"\r\n"), password=PASSWORD)
    for wrong in ("", "p\u00e4ss word ", b"\xff", lambda: "no"):
        assert refusal(key, password=wrong) == "the password does not open key"
    assert refusal(key) == "key is encrypted: its password is needed"


def test_every_wrong_password_is_told_as_such(openssl: Openssl, key_file: Path) -> None:
    """One of 256 leaves a padding that looks right."""
    command = ("pkcs8", "-topk8", "-in", str(key_file), "-passout", "pass:right", "-iter", "1")
    key = openssl(*command)
    told = {refusal(key, password=f"wrong {number}") for number in range(600)}
    assert told == {"the password does not open key"}


def test_a_password_is_asked_for_only_where_it_is_needed() -> None:
    def ask() -> str:
        pytest.fail("it was asked for")

    accepted(pki().server.key, password=ask)
    accepted(pki().server.key, password="of no use")


@pytest.mark.parametrize("password", [5, 1.5, ["x"], object()])
def test_a_password_of_another_type_is_a_type_error(password: object) -> None:
    with pytest.raises(TypeError, match="password is str, bytes, bytearray or a function"):
        accepted(pki().server.key, password=password)


def test_what_a_password_function_raises_is_raised(openssl: Openssl, key_file: Path) -> None:
    key = openssl("pkcs8", "-topk8", "-in", str(key_file), "-passout", "pass:x")

    def ask() -> str:
        msg = "no terminal"
        raise KeyError(msg)

    with pytest.raises(KeyError, match="no terminal"):
        accepted(key, password=ask)
    with pytest.raises(TypeError, match="not int"):
        accepted(key, password=lambda: 7)


@pytest.mark.parametrize("old", ["ec -aes256", "pkcs8 -topk8 -v1 PBE-SHA1-3DES"])
def test_an_old_encryption_is_refused_with_the_command_that_converts_it(
    old: str, openssl: Openssl, key_file: Path, tmp_path: Path
) -> None:
    old_file, new_file = tmp_path / "old.key", tmp_path / "new.key"
    openssl(*old.split(), "-in", str(key_file), "-passout", "pass:x", "-out", str(old_file))
    told = refusal(old_file.read_bytes(), password="x")
    command = re.search(r"convert it with `openssl (.*)`", told)
    assert command, told
    arguments = command[1].replace("FILE", str(old_file)).replace("NEW", str(new_file))
    openssl(*shlex.split(arguments), "-passin", "pass:x", "-passout", "pass:y")
    accepted(new_file.read_bytes(), password="y")


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", "RSA-PSS"),
        ("-algorithm ED448", "Ed448"),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "RSA of 1024 bits"),
        ("-algorithm X25519", "X25519"),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:secp224r1", "EC on P-224"),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", "EC on secp256k1"),
    ],
)
def test_a_kind_of_key_that_is_not_supported_is_named(
    arguments: str, kind: str, openssl: Openssl
) -> None:
    key = openssl("genpkey", *arguments.split())
    assert refusal(key) == (
        f"key is not usable: keys of type {kind} are not supported;"
        " RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, and Ed25519 are"
    )


def test_a_dsa_key_and_one_of_openssh_are_told_with_the_command_that_converts(
    openssl: Openssl, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    parameters = tmp_path / "dsa.pem"
    openssl("dsaparam", "-out", str(parameters), "1024")
    key = openssl("gendsa", str(parameters))
    assert "keys of type DSA are not supported" in refusal(key)

    tool, file = require_tool("ssh-keygen"), tmp_path / "id"
    subprocess.run([tool, "-q", "-t", "rsa", "-N", "", "-f", str(file)], check=True)
    told = refusal(file.read_bytes())
    command = re.search(r"in the format of OpenSSH, which `ssh-keygen (.*)` rewrites", told)
    assert command, told
    arguments = command[1].replace("FILE", str(file)).split()
    subprocess.run([tool, "-P", "", "-N", "", *arguments], check=True, capture_output=True)
    assert "does not belong" in refusal(file.read_bytes())


@pytest.mark.parametrize("form", ["-pkeyopt ec_param_enc:explicit"])
def test_a_certificate_with_explicit_curve_parameters_is_named(
    form: str, openssl: Openssl, tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    openssl("genpkey", *curve, *form.split(), "-out", str(key))
    openssl("req", "-x509", "-key", str(key), "-out", str(cert), "-subj", "/CN=x", "-days", "2")
    kind = "keys of type EC with explicit curve parameters are not supported"
    assert kind in refusal(key.read_bytes(), cert.read_bytes())
    named = openssl("ec", "-in", str(key), "-param_enc", "named_curve")
    told = refusal(named, cert.read_bytes())
    assert told.startswith(f"the first certificate of cert is not usable: {kind}")


@pytest.mark.parametrize("der", [bytes(3), b"\x30\x00", b"\x30\x03\x02\x01\x07", b"not X.509"])
def test_every_certificate_of_a_chain_is_looked_at(der: bytes) -> None:
    broken = ssl.DER_cert_to_PEM_cert(der).encode()
    for chain, index in [(pki().server.cert + broken, 1), (broken + pki().server.cert, 0)]:
        assert refusal(pki().server.key, chain) == (
            f"certificate {index} of cert does not parse as X.509"
        )


def test_a_certificate_that_is_too_long_is_told_with_its_length(
    openssl: Openssl, key_file: Path, tmp_path: Path
) -> None:
    config = tmp_path / "long.cnf"
    names = "\n".join(f"DNS.{n} = {n:0>60}.test" for n in range(1100))
    config.write_text(f"[req]\ndistinguished_name=d\n[d]\n[v]\nsubjectAltName=@n\n[n]\n{names}\n")
    make = ("-x509", "-key", str(key_file), "-subj", "/CN=x", "-days", "2")
    cert = openssl("req", *make, "-config", str(config), "-extensions", "v")
    size = len(ssl.PEM_cert_to_DER_cert(cert.decode()))
    assert refusal(key_file.read_bytes(), cert) == (
        f"certificate 0 of cert has {size} bytes: at most 65539 are supported"
    )
    with pytest.raises(ConfigError, match=rf"certificate 0 of roots has {size} bytes"):
        ClientConfig(cert)


def test_the_same_in_the_older_formats_is_named(openssl: Openssl) -> None:
    for arguments, kind in [
        ("genrsa -traditional 1024", "RSA of 1024 bits"),
        ("ecparam -name secp224r1 -genkey -noout", "EC on P-224"),
    ]:
        assert f"keys of type {kind} are not supported" in refusal(openssl(*arguments.split()))


def test_a_chain_in_the_wrong_order_is_told_which_comes_first() -> None:
    chain = pki().roots + pki().client.cert + pki().server.cert
    assert refusal(pki().server.key, chain) == (
        "key does not belong to the first certificate of cert,"
        " but to number 3 of 3: put that one first"
    )
    text = "key does not belong to the first certificate of cert"
    assert refusal(pki().server.key, pki().client.cert) == text


def test_what_is_no_pem_is_told_how_to_become_one(openssl: Openssl, key_file: Path) -> None:
    der = openssl("pkey", "-in", str(key_file), "-outform", "DER")
    assert "looks like DER or PKCS#12" in refusal(der)
    assert refusal(pki().server.cert).endswith("; it has CERTIFICATE")


def test_a_ca_as_leaf_is_refused_with_a_command_that_makes_a_usable_one(
    openssl: Openssl, tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ("-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert))
    about = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    openssl("req", "-x509", *make, *about)
    told = _handshake_with(cert, key)
    assert told is not None
    command = re.search(r"`openssl (.*)`", told)
    assert command, told
    openssl(*command[1].split(), *make, *about)
    assert _handshake_with(cert, key) is None


def _handshake_with(cert: Path, key: Path) -> str | None:
    """What our client says to a server of the standard library with this certificate."""
    import socket
    import threading

    from ktls_fast import Connection

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with context.wrap_socket(theirs, server_side=True) as tls:
                tls.recv(1)
        except OSError:
            pass

    ours.settimeout(10)
    theirs.settimeout(10)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with ours:
            Connection.client(ours, ClientConfig(cert.read_bytes()), "localhost").close()
    except HandshakeError as error:
        return error.strerror
    finally:
        thread.join(10)
    return None
