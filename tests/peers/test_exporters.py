"""Keying material that both ends derive, compared with OpenSSL's and GnuTLS's."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest

from ktls_fast import Connection, KtlsError
from tests.peers.ours import client_config, connect, echo, paired, server_config
from tests.peers.process import ProgramProcess
from tests.peers.pyopenssl import pyopenssl_client, pyopenssl_server
from tests.peers.stdlib import TLS12, client_context, server_context
from tests.peers.support import DEADLINE, SUITES, answer, listener, port_of, socket_pair, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from OpenSSL import SSL

CASES: list[tuple[str | bytes, int, bytes | None]] = [
    ("EXPORTER-test", 32, None),
    ("EXPORTER-test", 32, b""),
    ("EXPORTER-test", 1, b"context"),
    ("EXPORTER-Channel-Binding", 32, b""),
    (b"EXPORTER_WITH_BYTES", 300, bytes(range(256))),
    ("x" * 249, 64, b"c" * 65535),
    ("", 16, None),
]
TLS12_SUITES = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
]
ALL_SUITES = [("TLS1_3", suite) for suite in SUITES.values()]
ALL_SUITES += [("TLS1_2", suite) for suite in TLS12_SUITES]


def material(conn: Connection) -> list[bytes]:
    return [conn.export_keying_material(label, length, context) for label, length, context in CASES]


def their_material(conn: SSL.Connection) -> list[bytes]:
    export = conn.export_keying_material
    encoded = ((label.encode() if isinstance(label, str) else label) for label, _, _ in CASES)
    return [export(label, *case[1:]) for label, case in zip(encoded, CASES, strict=True)]


@pytest.mark.parametrize(("version", "suite"), ALL_SUITES)
def test_our_server_exports_what_openssl_exports(pems: Path, version: str, suite: str) -> None:
    near, far = socket_pair()
    served = start(lambda: Connection.server(far, server_config(suites=[suite])))
    with pyopenssl_client(near, pems, version) as client, served.result(DEADLINE) as conn:
        assert material(conn) == their_material(client)


@pytest.mark.parametrize(("version", "suite"), ALL_SUITES)
def test_our_client_exports_what_openssl_exports(pems: Path, version: str, suite: str) -> None:
    near, far = socket_pair()
    config = client_config(suites=[suite])
    dialled = start(lambda: Connection.client(near, config, "localhost"))
    with pyopenssl_server(far, pems, version) as server, dialled.result(DEADLINE) as conn:
        assert material(conn) == their_material(server)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client_exports_the_same(
    require_tool: Callable[[str], str], pems: Path, version: str
) -> None:
    with listener() as listening:
        command = [require_tool("openssl"), "s_client", version, "-servername", "localhost"]
        command += ["-connect", f"127.0.0.1:{port_of(listening)}"]
        command += ["-keymatexport", "EXPORTER-s_client", "-keymatexportlen", "40"]
        command += ["-CAfile", str(pems / "roots.pem")]
        with (
            ProgramProcess(command) as client,
            Connection.server(answer(listening), server_config()) as conn,
        ):
            client.output.until(b"Keying material: ")
            theirs = client.output.until(b"\n").strip().decode()
            ours = conn.export_keying_material("EXPORTER-s_client", 40)
            assert ours.hex().upper() == theirs
            client.finish()
            echo(conn)


@pytest.mark.parametrize("protocol", ["TLS1.3", "TLS1.2"])
def test_gnutls_cli_exports_the_same(
    require_tool: Callable[[str], str], pems: Path, protocol: str
) -> None:
    with listener() as listening:
        command = [require_tool("gnutls-cli"), "-p", str(port_of(listening)), "127.0.0.1"]
        command += ["--sni-hostname=localhost", "--verify-hostname=localhost"]
        command += ["--keymatexport=EXPORTER-gnutls", "--keymatexportsize=24"]
        command += [f"--x509cafile={pems / 'roots.pem'}"]
        command += [f"--priority=NORMAL:-VERS-ALL:+VERS-{protocol}"]
        with (
            ProgramProcess(command) as client,
            Connection.server(answer(listening), server_config()) as conn,
        ):
            client.output.until(b"Key material: ")
            theirs = client.output.until(b"\n").strip().decode()
            assert conn.export_keying_material("EXPORTER-gnutls", 24).hex() == theirs
            client.finish()
            echo(conn)


def test_key_updates_and_the_end_of_the_connection_do_not_change_it() -> None:
    with listener() as listening:
        served = start(lambda: Connection.server(answer(listening), server_config()))
        conn = connect(port_of(listening))
        server = served.result(DEADLINE)
        before = material(conn)
        conn.key_update(request_peer=True)
        conn.sendall(b"data")
        assert server.read(4) == b"data"
        assert material(conn) == material(server) == before
        conn.close()
        server.close()
        assert material(conn) == material(server) == before


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_resumed_session_exports_other_material(version: str) -> None:
    suites = TLS12_SUITES if version == "TLSv1.2" else list(SUITES.values())
    client, seen = client_config(suites=suites), []
    config = server_config()
    for resumed in (False, True):
        near, far = socket_pair()
        served = start(lambda far=far: Connection.server(far, config))  # type: ignore[misc]
        with Connection.client(near, client, "localhost") as conn, served.result(DEADLINE) as other:
            other.sendall(b"x")
            assert conn.read(1) == b"x"
            assert (conn.version, conn.resumed) == (version, resumed)
            assert material(conn) == material(other)
            seen.append(tuple(material(conn)))
    assert len(set(seen)) == 2


def test_the_material_is_that_of_the_exporter_secret_in_the_key_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = client_config(keylog=str(log), suites=["TLS_AES_128_GCM_SHA256"])
    with listener() as listening:
        served = start(lambda: Connection.server(answer(listening), server_config()))
        with connect(port_of(listening), config) as conn, served.result(DEADLINE):
            lines = (line.split() for line in log.read_text().splitlines())
            secret = next(bytes.fromhex(line[2]) for line in lines if line[0] == "EXPORTER_SECRET")
            derived = expand_label(secret, b"a label", hashlib.sha256(b"").digest(), 32)
            context = hashlib.sha256(b"a context").digest()
            expected = expand_label(derived, b"exporter", context, 32)
            assert conn.export_keying_material("a label", 32, b"a context") == expected


def expand_label(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446 §7.1, for at most one block."""
    info = length.to_bytes(2) + bytes([6 + len(label)]) + b"tls13 " + label
    info += bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\1", "sha256")[:length]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("x", 0), "0 bytes of keying material are not from 1 to 8160"),
        (("x", 8161), "8161 bytes"),
        (("x" * 250, 1), "label of 250 bytes"),
        (("x", 1, bytes(65536)), "context of 65536 bytes"),
    ],
)
def test_what_cannot_be_derived_is_refused(arguments: tuple[str, int], text: str) -> None:
    with listener() as listening:
        config = server_config(suites=["TLS_AES_128_GCM_SHA256"])
        served = start(lambda: Connection.server(answer(listening), config))
        with connect(port_of(listening)) as conn, served.result(DEADLINE):
            with pytest.raises(ValueError, match=text):
                conn.export_keying_material(*arguments)
            assert len(conn.export_keying_material("x" * 249, 8160, bytes(65535))) == 8160
            for length in (-1, 1 << 64):
                with pytest.raises(OverflowError):
                    conn.export_keying_material("x", length)
            for label in (None, 7):
                with pytest.raises(TypeError):
                    conn.export_keying_material(label, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "label",
    [
        "client finished",
        "server finished",
        "master secret",
        "extended master secret",
        "key expansion",
    ],
)
def test_the_labels_of_tls12_itself_are_refused(pems: Path, label: str) -> None:
    near, far = socket_pair()
    served = start(lambda: Connection.server(far, server_config()))
    context = client_context(pems, TLS12)
    with (
        context.wrap_socket(near, server_hostname="localhost"),
        served.result(DEADLINE) as conn,
        pytest.raises(ValueError, match="reserved"),
    ):
        conn.export_keying_material(label, 16)


def test_without_an_extended_master_secret_nothing_is_exported(pems: Path) -> None:
    no_ems = 1 << 0  # SSL_OP_NO_EXTENDED_MASTER_SECRET
    near, far = socket_pair()
    context = server_context(pems, TLS12)
    context.options |= no_ems
    dialled = start(lambda: Connection.client(near, client_config(), "localhost"))
    with (
        context.wrap_socket(far, server_side=True),
        dialled.result(DEADLINE) as conn,
        pytest.raises(KtlsError, match="no secret to export"),
    ):
        conn.export_keying_material("EXPORTER-x", 16)


def test_a_connection_from_secrets_exports_nothing() -> None:
    with paired() as (conn, _), pytest.raises(KtlsError, match="no secret to export"):
        conn.export_keying_material("EXPORTER-x", 16)
