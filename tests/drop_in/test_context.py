"""What a context says holds, and what cannot be handed over stays with OpenSSL."""

import os
import ssl as stdlib_ssl
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ktls_fast import ssl
from ktls_fast._handover.keylog import key_log_of
from tests.drop_in.contexts import (
    TLS12,
    TLS13,
    BioEnd,
    BioPair,
    Contexts,
    bio_pair,
    connected,
    is_ours,
)
from tests.drop_in.test_bio import swap
from tests.forked import in_child


def refused(contexts: Contexts, reason: str, client: Any = None, server: Any = None) -> None:
    """Check that the connection works, stays with OpenSSL, and that the reason is counted."""
    before = ssl.hand_over_stat().get(reason, 0)
    pair = bio_pair(
        client or contexts.client(module=stdlib_ssl), server or contexts.server(module=stdlib_ssl)
    )
    swap(pair, 40_000)
    reasons = {getattr(end.tls, "refusal", None) for end in (pair.client, pair.server)}
    assert reason in reasons
    assert ssl.hand_over_stat()[reason] > before
    for ours in (pair.client.tls, pair.server.tls):
        if getattr(ours, "refusal", None) is not None:
            assert ours.generation is None
            with pytest.raises(ValueError, match=reason):
                ours.key_update()


def test_post_handshake_authentication_stays_with_openssl(contexts: Contexts) -> None:
    client = contexts.client(post_handshake_auth=True)
    client.load_cert_chain(contexts.folder / "client.pem", contexts.folder / "client.key")
    refused(contexts, "post-handshake authentication", client=client)
    server = contexts.server(post_handshake_auth=True)
    refused(contexts, "post-handshake authentication", server=server)


def test_a_client_without_a_certificate_does_not_offer_post_handshake_authentication(
    contexts: Contexts,
) -> None:
    client = contexts.client(post_handshake_auth=True)
    pair = bio_pair(client, contexts.server(module=stdlib_ssl, post_handshake_auth=True))
    assert is_ours(pair.client.tls)
    assert client.post_handshake_auth, "the setting of the program was changed"
    with pytest.raises(stdlib_ssl.SSLError, match="EXTENSION_NOT_RECEIVED"):
        pair.server.tls.verify_client_post_handshake()
    swap(pair, 40_000)


def test_cbc_suites_stay_with_openssl(contexts: Contexts) -> None:
    server = contexts.server(TLS12)
    server.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    refused(contexts, "cipher suite", contexts.client(TLS12, stdlib_ssl), server=server)
    client = contexts.client(TLS12)
    client.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
    refused(contexts, "cipher suite", client, contexts.server(TLS12, stdlib_ssl))


def test_a_message_callback_keeps_seeing_messages(contexts: Contexts) -> None:
    server = contexts.server()
    seen = Counter[str]()
    server._msg_callback = lambda _conn, direction, *_: seen.update([direction])  # type: ignore[attr-defined]
    refused(contexts, "message callback", server=server)
    assert seen["read"]


def test_no_key_log_means_openssl(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memfd(*_: object) -> int:
        raise OSError(38, "no memfd")

    monkeypatch.setattr(os, "memfd_create", no_memfd)
    refused(contexts, "no key log", server=contexts.server())


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_an_sni_callback_changes_to_another_context_of_ours(
    contexts: Contexts, version: stdlib_ssl.TLSVersion
) -> None:
    outer, inner = contexts.server(version), contexts.server(version)

    def choose(tls: Any, name: str, context: ssl.SSLContext) -> None:
        assert (name, context) == ("localhost", outer)
        tls.context = inner

    outer.sni_callback = choose
    pair = bio_pair(contexts.client(version, stdlib_ssl), outer)
    assert is_ours(pair.server.tls)
    assert pair.server.tls.context is inner
    swap(pair, 20_000)


def test_an_sni_callback_changes_to_a_foreign_context(contexts: Contexts) -> None:
    outer, inner = contexts.server(), contexts.server(module=stdlib_ssl)

    def choose(tls: Any, _name: str, _context: ssl.SSLContext) -> None:
        tls.context = inner

    outer.sni_callback = choose
    refused(contexts, "no secrets", server=outer)


def test_client_certificates_are_verified(contexts: Contexts) -> None:
    server = contexts.server(verify_mode=ssl.CERT_REQUIRED)
    server.load_verify_locations(contexts.folder / "roots.pem")
    client = contexts.client()
    with pytest.raises(ssl.SSLError, match="peer did not return a certificate"):
        bio_pair(client, server)
    client.load_cert_chain(contexts.folder / "client.pem", contexts.folder / "client.key")
    pair = bio_pair(client, server)
    assert is_ours(pair.server.tls)
    assert pair.server.tls.getpeercert()["subject"]
    swap(pair, 100)


def test_a_wrong_name_fails_and_the_alert_is_in_the_bio(contexts: Contexts) -> None:
    pair = BioPair(
        BioEnd(contexts.client(), server_hostname="other.example"),
        BioEnd(contexts.server(), server_side=True),
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        pair.handshake()
    assert pair.client.outgoing.pending
    pair.carry()
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_CERTIFICATE"):
        pair.server.tls.do_handshake()


@pytest.mark.parametrize(
    "wire", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\x80\x2e\x01"]
)
def test_bytes_that_are_not_tls_fail_as_with_openssl(contexts: Contexts, wire: bytes) -> None:
    texts = []
    for module in (ssl, stdlib_ssl):
        end = BioEnd(contexts.server(module=module), server_side=True)
        end.incoming.write(wire)
        end.incoming.write_eof()
        with pytest.raises(ssl.SSLError) as caught:
            end.tls.do_handshake()
        texts.append((caught.value.reason, end.outgoing.read()))
    assert texts[0] == texts[1]


def test_the_users_key_log_gets_the_lines(contexts: Contexts, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    client = contexts.client()
    client.keylog_filename = str(path)
    assert client.keylog_filename == str(path)
    swap(bio_pair(client, contexts.server()), 10)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("#")
    assert len(lines) == 6
    client.keylog_filename = None  # type: ignore[assignment]
    assert client.keylog_filename is None
    bio_pair(client, contexts.server())
    assert len(path.read_text().splitlines()) == 6


def test_a_key_log_file_that_cannot_be_opened_is_an_error(contexts: Contexts) -> None:
    client = contexts.client()
    with pytest.raises(IsADirectoryError):
        client.keylog_filename = "/"
    with pytest.raises(TypeError):
        client.keylog_filename = 1  # type: ignore[assignment]
    assert client.keylog_filename is None


def test_sslkeylogfile_is_honoured(
    contexts: Contexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    client = contexts.client()
    assert client.keylog_filename == str(path)
    bio_pair(client, contexts.server())
    assert "CLIENT_TRAFFIC_SECRET_0" in path.read_text()


def test_a_forked_child_has_a_key_log_of_its_own(contexts: Contexts) -> None:
    client, server = contexts.client(), contexts.server()
    swap(bio_pair(client, server), 10)
    before = [key_log_of(context) for context in (client, server)]

    def child() -> None:
        pair = bio_pair(client, server)
        # Two processes would truncate one file below each other's feet.
        for context, log in zip((client, server), before, strict=True):
            assert key_log_of(context) is not log
        swap(pair, 10)
        assert is_ours(pair.client.tls)
        assert is_ours(pair.server.tls)

    assert in_child(child) == "None"
    assert is_ours(bio_pair(client, server).server.tls)
    assert [key_log_of(context) for context in (client, server)] == before


def test_handshakes_on_many_threads_are_not_mixed_up(contexts: Contexts) -> None:
    client, server = contexts.client(), contexts.server()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                pair = bio_pair(client, server)
                assert is_ours(pair.client.tls)
                assert is_ours(pair.server.tls)
                swap(pair, 100)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_a_replayed_client_hello_stays_with_openssl(contexts: Contexts) -> None:
    server = contexts.server()
    client = BioEnd(contexts.client(module=stdlib_ssl))
    client.step(client.tls.do_handshake)
    hello = client.outgoing.read()
    victim, replayed = (BioEnd(server, server_side=True) for _ in range(2))
    for end in (victim, replayed):
        end.incoming.write(hello)
        assert not end.step(end.tls.do_handshake)
    pair = BioPair(client, victim)
    pair.carry()
    pair.handshake()
    assert victim.tls.refusal == "two sets of secrets"
    swap(pair, 1000)


def test_inject_switches_the_module_ssl_and_eject_switches_it_back(contexts: Contexts) -> None:
    program = f"""
import ssl, sys
sys.path.insert(0, {str(Path.cwd())!r})
from ktls_fast import ssl as ours
before = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ours.inject()
from pathlib import Path
from tests.drop_in.contexts import Contexts, bio_pair, is_ours
contexts = Contexts(Path({str(contexts.folder)!r}))
client, server = contexts.client(module=ssl), contexts.server(module=ssl)
assert type(client) is ssl.SSLContext and ssl.SSLContext is not ours.SSLContext
pair = bio_pair(client, server)
assert is_ours(pair.client.tls) and is_ours(pair.server.tls)
before.minimum_version = ssl.TLSVersion.TLSv1_2
before.check_hostname, before.verify_mode = False, ssl.CERT_NONE
assert is_ours(bio_pair(before, server).client.tls)
client.post_handshake_auth = before.post_handshake_auth = True
assert is_ours(bio_pair(client, server).client.tls)
assert not is_ours(bio_pair(before, server).client.tls), "it may have a certificate"
ours.eject()
assert not hasattr(bio_pair(client, server).client.tls, "generation")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_context_that_others_use_first_has_no_key_log(contexts: Contexts) -> None:
    """A key log crashes libraries that create an SSL from the context's SSL_CTX themselves."""
    server = contexts.server()
    inherited = vars(stdlib_ssl.SSLContext.__base__)["keylog_filename"]
    assert inherited.__get__(server) is None
    with connected(contexts.client(), server):
        assert inherited.__get__(server) is not None
