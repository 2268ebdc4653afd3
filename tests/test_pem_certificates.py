"""Certificates in PEM files that a configuration refuses, with an explanation."""

import re
import ssl
from pathlib import Path

import pytest

from ktls_fast import ClientConfig, ConfigError, HandshakeError
from tests.peers.pki import pki
from tests.pem_support import RunOpenssl, refusal


@pytest.mark.parametrize("form", ["-pkeyopt ec_param_enc:explicit"])
def test_a_certificate_with_explicit_curve_parameters_is_named(
    form: str, run_openssl: RunOpenssl, tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    run_openssl("genpkey", *curve, *form.split(), "-out", str(key))
    run_openssl("req", "-x509", "-key", str(key), "-out", str(cert), "-subj", "/CN=x", "-days", "2")
    kind = "keys of type EC with explicit curve parameters are not supported"
    assert kind in refusal(key.read_bytes(), cert.read_bytes())
    named = run_openssl("ec", "-in", str(key), "-param_enc", "named_curve")
    message = refusal(named, cert.read_bytes())
    assert message.startswith(f"the first certificate of cert is not usable: {kind}")


@pytest.mark.parametrize("der", [bytes(3), b"\x30\x00", b"\x30\x03\x02\x01\x07", b"not X.509"])
def test_every_certificate_of_a_chain_is_checked(der: bytes) -> None:
    broken = ssl.DER_cert_to_PEM_cert(der).encode()
    for chain, index in [(pki().server.cert + broken, 1), (broken + pki().server.cert, 0)]:
        assert refusal(pki().server.key, chain) == (
            f"certificate {index} of cert does not parse as X.509"
        )


def test_a_certificate_that_is_too_long_is_refused_with_its_length(
    run_openssl: RunOpenssl, key_file: Path, tmp_path: Path
) -> None:
    config = tmp_path / "long.cnf"
    names = "\n".join(f"DNS.{n} = {n:0>60}.test" for n in range(1100))
    config.write_text(f"[req]\ndistinguished_name=d\n[d]\n[v]\nsubjectAltName=@n\n[n]\n{names}\n")
    make = ("-x509", "-key", str(key_file), "-subj", "/CN=x", "-days", "2")
    cert = run_openssl("req", *make, "-config", str(config), "-extensions", "v")
    size = len(ssl.PEM_cert_to_DER_cert(cert.decode()))
    assert refusal(key_file.read_bytes(), cert) == (
        f"certificate 0 of cert has {size} bytes: at most 65539 are supported"
    )
    with pytest.raises(ConfigError, match=rf"certificate 0 of roots has {size} bytes"):
        ClientConfig(cert)


def test_unsupported_keys_in_older_formats_are_named(run_openssl: RunOpenssl) -> None:
    for arguments, kind in [
        ("genrsa -traditional 1024", "RSA of 1024 bits"),
        ("ecparam -name secp224r1 -genkey -noout", "EC on P-224"),
    ]:
        assert f"keys of type {kind} are not supported" in refusal(run_openssl(*arguments.split()))


def test_a_chain_in_the_wrong_order_is_refused_with_the_certificate_to_put_first() -> None:
    chain = pki().roots + pki().client.cert + pki().server.cert
    assert refusal(pki().server.key, chain) == (
        "key does not belong to the first certificate of cert,"
        " but to number 3 of 3: put that one first"
    )
    text = "key does not belong to the first certificate of cert"
    assert refusal(pki().server.key, pki().client.cert) == text


def test_a_ca_as_leaf_is_refused_with_a_command_that_makes_a_usable_one(
    run_openssl: RunOpenssl, tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ("-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert))
    about = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    run_openssl("req", "-x509", *make, *about)
    message = _handshake_with(cert, key)
    assert message is not None
    command = re.search(r"`openssl (.*)`", message)
    assert command, message
    run_openssl(*command[1].split(), *make, *about)
    assert _handshake_with(cert, key) is None


def _handshake_with(cert: Path, key: Path) -> str | None:
    """Connect our client to a server of the standard library; return the error, or None."""
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
