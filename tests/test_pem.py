"""PEM files as OpenSSL writes and reads them, and keys that cannot be used."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ktls_fast import ClientConfig
from tests.peers.pki import pki
from tests.pem_support import RunOpenssl, accepted, refusal

PASSWORD = "p\u00e4ss word"


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
def test_a_key_is_found_among_any_other_text(surround: Callable[[bytes], bytes]) -> None:
    accepted(surround(pki().server.key))


def test_files_written_by_openssl_are_read(
    run_openssl: RunOpenssl, key_file: Path, tmp_path: Path
) -> None:
    cert_file, bundle = tmp_path / "cert.pem", tmp_path / "bundle.p12"
    cert_file.write_bytes(pki().server.cert)
    pair = ("-inkey", str(key_file), "-in", str(cert_file))
    run_openssl("pkcs12", "-export", *pair, "-passout", "pass:x", "-out", str(bundle))
    both = run_openssl("pkcs12", "-in", str(bundle), "-passin", "pass:x", "-nodes")
    assert b"Bag Attributes" in both
    accepted(both, both)

    printed = run_openssl("x509", "-in", str(cert_file), "-text")
    trusted = run_openssl("x509", "-in", str(cert_file), "-trustout", "-addtrust", "serverAuth")
    for cert in (printed, trusted, printed.replace(b" CERTIFICATE-", b" X509 CERTIFICATE-")):
        accepted(pki().server.key, cert)

    curve = run_openssl("ecparam", "-name", "prime256v1", "-genkey")
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
    how: str, run_openssl: RunOpenssl, key_file: Path
) -> None:
    command = ("pkcs8", "-topk8", "-in", str(key_file), "-passout", f"pass:{PASSWORD}")
    key = run_openssl(*command, *how.split())
    assert b"ENCRYPTED PRIVATE KEY" in key
    for password in (PASSWORD, PASSWORD.encode(), bytearray(PASSWORD.encode()), lambda: PASSWORD):
        accepted(key, password=password)
        ClientConfig(pki().roots, cert=pki().server.cert, key=key, password=password)
    accepted(b"a comment\r\n" + key.replace(b"\n", b"\r\n"), password=PASSWORD)
    for wrong in ("", "p\u00e4ss word ", b"\xff", lambda: "no"):
        assert refusal(key, password=wrong) == "the password does not open key"
    assert refusal(key) == "key is encrypted: its password is needed"


def test_a_wrong_password_is_reported_as_such(run_openssl: RunOpenssl, key_file: Path) -> None:
    """One wrong password of 256 results in a valid padding."""
    command = ("pkcs8", "-topk8", "-in", str(key_file), "-passout", "pass:right", "-iter", "1")
    key = run_openssl(*command)
    messages = {refusal(key, password=f"wrong {number}") for number in range(600)}
    assert messages == {"the password does not open key"}


def test_a_password_is_requested_only_if_needed() -> None:
    def ask() -> str:
        pytest.fail("the password was requested")

    accepted(pki().server.key, password=ask)
    accepted(pki().server.key, password="of no use")


@pytest.mark.parametrize("password", [5, 1.5, ["x"], object()])
def test_a_password_of_another_type_is_a_type_error(password: object) -> None:
    with pytest.raises(TypeError, match="password is str, bytes, bytearray or a function"):
        accepted(pki().server.key, password=password)


def test_an_exception_of_a_password_function_is_raised(
    run_openssl: RunOpenssl, key_file: Path
) -> None:
    key = run_openssl("pkcs8", "-topk8", "-in", str(key_file), "-passout", "pass:x")

    def ask() -> str:
        msg = "no terminal"
        raise KeyError(msg)

    with pytest.raises(KeyError, match="no terminal"):
        accepted(key, password=ask)
    with pytest.raises(TypeError, match="not int"):
        accepted(key, password=lambda: 7)


@pytest.mark.parametrize("old", ["ec -aes256", "pkcs8 -topk8 -v1 PBE-SHA1-3DES"])
def test_an_old_encryption_is_refused_with_the_command_that_converts_it(
    old: str, run_openssl: RunOpenssl, key_file: Path, tmp_path: Path
) -> None:
    old_file, new_file = tmp_path / "old.key", tmp_path / "new.key"
    run_openssl(*old.split(), "-in", str(key_file), "-passout", "pass:x", "-out", str(old_file))
    message = refusal(old_file.read_bytes(), password="x")
    command = re.search(r"convert it with `openssl (.*)`", message)
    assert command, message
    arguments = command[1].replace("FILE", str(old_file)).replace("NEW", str(new_file))
    run_openssl(*shlex.split(arguments), "-passin", "pass:x", "-passout", "pass:y")
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
    arguments: str, kind: str, run_openssl: RunOpenssl
) -> None:
    key = run_openssl("genpkey", *arguments.split())
    assert refusal(key) == (
        f"key is not usable: keys of type {kind} are not supported;"
        " RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, and Ed25519 are"
    )


def test_a_dsa_or_openssh_key_is_refused_with_the_command_that_converts_it(
    run_openssl: RunOpenssl, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    parameters = tmp_path / "dsa.pem"
    run_openssl("dsaparam", "-out", str(parameters), "1024")
    key = run_openssl("gendsa", str(parameters))
    assert "keys of type DSA are not supported" in refusal(key)

    tool, file = require_tool("ssh-keygen"), tmp_path / "id"
    subprocess.run([tool, "-q", "-t", "rsa", "-N", "", "-f", str(file)], check=True)
    message = refusal(file.read_bytes())
    command = re.search(r"in the format of OpenSSH, which `ssh-keygen (.*)` rewrites", message)
    assert command, message
    arguments = command[1].replace("FILE", str(file)).split()
    subprocess.run([tool, "-P", "", "-N", "", *arguments], check=True, capture_output=True)
    assert "does not belong" in refusal(file.read_bytes())


def test_a_file_that_is_not_pem_is_refused_with_the_command_that_converts_it(
    run_openssl: RunOpenssl, key_file: Path
) -> None:
    der = run_openssl("pkey", "-in", str(key_file), "-outform", "DER")
    assert "looks like DER or PKCS#12" in refusal(der)
    assert refusal(pki().server.cert).endswith("; it has CERTIFICATE")
