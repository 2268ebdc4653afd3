"""Data through the proxy in both directions, with various options."""

import random
import select
import socket
import ssl
import threading
from pathlib import Path

import pytest

import ktls_fast
from tests.proxy_support import (
    HOST,
    TIMEOUT,
    ProxyIdentity,
    RunningProxy,
    UpstreamServer,
    connect_tls,
    echo_proxy,
)
from tests.streams import read_exactly, read_to_end

MEBIBYTE = 2**20


STALLED = 0.7
"""Seconds without progress that mean back-pressure."""


def test_bytes_come_back_as_they_were_sent(identity: ProxyIdentity) -> None:
    data = random.Random(1).randbytes(300_000)
    with echo_proxy(identity) as proxy:
        with connect_tls(proxy.port, identity) as client:
            client.sendall(data)
            assert read_exactly(client, len(data)) == data
            client.unwrap().close()
        line = proxy.event("connection")
        assert (line["received"], line["sent"], line["result"]) == (300_000, 300_000, "ok")
        assert proxy.stop() == 0


def test_a_log_line_contains_what_the_handshake_negotiated(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--alpn", "h2,http/1.1") as proxy:
        with connect_tls(proxy.port, identity, alpn=["http/1.1"]) as client:
            here, agreed = client.getsockname(), client.cipher()
            assert client.selected_alpn_protocol() == "http/1.1"
            client.unwrap().close()
        line = proxy.event("connection")
    assert agreed is not None
    assert line["client"] == f"{HOST}:{here[1]}"
    assert line["version"] == "TLSv1.3"
    assert line["cipher"] == agreed[0]
    assert line["alpn"] == "http/1.1"
    assert line["server_name"] == "localhost"


def test_both_sides_change_keys_as_often_as_configured(identity: ProxyIdentity) -> None:
    data = random.Random(2).randbytes(MEBIBYTE)
    config = ktls_fast.ClientConfig(identity.cert.read_bytes(), rekey_bytes=65536, rekey_interval=0)
    often = ("--rekey-every", "64KiB", "--rekey-interval", "0")
    with echo_proxy(identity, *often) as proxy:
        with ktls_fast.connect(
            (HOST, proxy.port), config, server_name="localhost", timeout=TIMEOUT
        ) as client:
            for start in range(0, MEBIBYTE, 65536):
                client.sendall(data[start : start + 65536])
                piece = b""
                while len(piece) < 65536:
                    piece += client.read()
                assert piece == data[start : start + 65536]
        line = proxy.event("connection")
    assert line["result"] == "ok"
    assert line["key_updates_sent"] in (15, 16)
    assert line["key_updates_received"] in (15, 16)


def test_client_may_end_first_and_still_read(identity: ProxyIdentity) -> None:
    def answer_at_the_end(client: socket.socket) -> None:
        client.sendall(b"%d bytes" % len(read_to_end(client)))

    config = ktls_fast.ClientConfig(identity.cert.read_bytes())
    with (
        UpstreamServer(answer_at_the_end) as upstream,
        RunningProxy(upstream.port, *identity.arguments) as proxy,
        ktls_fast.connect((HOST, proxy.port), config, server_name="localhost") as client,
    ):
        client.settimeout(TIMEOUT)
        client.sendall(b"x" * 1000)
        client.close_notify()
        assert client.read() == b"1000 bytes"
        assert client.read() == b""
        assert proxy.event("connection")["result"] == "ok"


def test_upstream_may_end_first_and_still_read(identity: ProxyIdentity) -> None:
    got: list[bytes] = []

    def end_first(client: socket.socket) -> None:
        client.sendall(b"that was all")
        client.shutdown(socket.SHUT_WR)
        got.append(read_to_end(client))

    with (
        UpstreamServer(end_first) as upstream,
        RunningProxy(upstream.port, *identity.arguments) as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        assert read_to_end(client) == b"that was all"
        client.sendall(b"not for me")
        client.unwrap().close()
        assert proxy.event("connection")["result"] == "ok"
    assert got == [b"not for me"]


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_slow_reader_stops_the_sender_and_memory_stays_bounded(
    identity: ProxyIdentity, direction: str
) -> None:
    plain: list[socket.socket] = []
    connected, finished = threading.Event(), threading.Event()

    def hold(client: socket.socket) -> None:
        plain.append(client)
        connected.set()
        assert finished.wait(TIMEOUT)

    with (
        UpstreamServer(hold) as upstream,
        RunningProxy(upstream.port, *identity.arguments) as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        try:
            client.sendall(b"!")
            assert connected.wait(TIMEOUT)
            assert read_exactly(plain[0], 1) == b"!"
            sender, reader = (plain[0], client) if direction == "down" else (client, plain[0])
            before = proxy.resident_bytes()
            sent = _send_until_it_stalls(sender)
            assert proxy.resident_bytes() - before < 8 * MEBIBYTE
            assert read_exactly(reader, sent) == _pattern(sent)
        finally:
            finished.set()


@pytest.mark.parametrize("interval", ["0", "0.15"])
def test_two_proxies_that_renew_keys_constantly_forward_everything(
    identity: ProxyIdentity, interval: str
) -> None:
    size = 30_000_000
    often = ("--rekey-every", "4096", "--rekey-interval", interval, "--rekey-peer")
    with (
        UpstreamServer(lambda client: client.sendall(_pattern(size))) as upstream,
        RunningProxy(upstream.port, *identity.arguments, *often) as inner,
        RunningProxy(
            inner.port,
            *("--originate", "--ca", str(identity.cert), "--server-name", "localhost"),
            *often,
        ) as outer,
        socket.create_connection((HOST, outer.port), TIMEOUT) as client,
    ):
        assert read_to_end(client) == _pattern(size)
        client.shutdown(socket.SHUT_WR)
        line = outer.event("connection")
    assert line["result"] == "ok"
    assert line["key_updates_received"] >= 1


def test_the_limit_of_updates_in_a_row_can_be_set(identity: ProxyIdentity) -> None:
    config = ktls_fast.ClientConfig(identity.cert.read_bytes())
    with echo_proxy(identity, "--key-update-limit", "2/3600") as proxy:
        with ktls_fast.connect(
            (HOST, proxy.port), config, server_name="localhost", timeout=TIMEOUT
        ) as client:
            for _ in range(3):
                client.key_update()
            with pytest.raises(ktls_fast.AlertReceivedError, match="unexpected_message"):
                client.read()
        line = proxy.event("connection")
    assert "KeyUpdate" in line["result"]


def test_a_client_that_speaks_http_is_refused_and_affects_no_other(identity: ProxyIdentity) -> None:
    with echo_proxy(identity) as proxy, connect_tls(proxy.port, identity) as client:
        with socket.create_connection((HOST, proxy.port), TIMEOUT) as lost:
            lost.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_to_end(lost)[:3] in (b"", b"\x15\x03\x03", b"\x15\x03\x01")
        assert proxy.event("connection")["result"].startswith("handshake failed: ")
        client.sendall(b"still here")
        assert read_exactly(client, 10) == b"still here"


def test_a_silent_client_times_out(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--handshake-timeout", "0.2") as proxy,
        socket.create_connection((HOST, proxy.port), TIMEOUT) as client,
    ):
        assert read_to_end(client) == b""
        assert proxy.event("connection")["result"] == "handshake failed: not finished within 0.2 s"


def test_idle_connection_is_closed(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--idle-timeout", "0.2") as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        # No close_notify: the data so far must not look complete.
        with pytest.raises(ssl.SSLError, match=r"(?i)internal error"):
            read_to_end(client)
        assert proxy.event("connection")["result"] == "idle for 0.2 s"


def test_truncated_connection_is_logged_as_such(identity: ProxyIdentity) -> None:
    with echo_proxy(identity) as proxy:
        with connect_tls(proxy.port, identity) as client:
            client.sendall(b"one")
            assert read_exactly(client, 3) == b"one"
        assert "close_notify" in proxy.event("connection")["result"]


def test_log_holds_no_secret(identity: ProxyIdentity, tmp_path: Path) -> None:
    keylog, log = tmp_path / "keys", tmp_path / "log"
    with echo_proxy(identity, "--keylog", str(keylog), "--log", str(log)) as proxy:
        with connect_tls(proxy.port, identity) as client:
            client.sendall(b"hush")
            assert read_exactly(client, 4) == b"hush"
            client.unwrap().close()
        assert proxy.stop() == 0
        output = log.read_text() + str(proxy.events_of("start"))
    secrets = {line.split()[2] for line in keylog.read_text().splitlines()}
    assert len(secrets) >= 4
    assert "hush" not in output
    assert not [secret for secret in secrets if secret in output]


def _pattern(count: int) -> bytes:
    block = random.Random(4).randbytes(65536)
    return (block * (count // 65536 + 1))[:count]


def _send_until_it_stalls(sock: socket.socket) -> int:
    """Send the pattern until it stalls; return the number of bytes sent."""
    sock.setblocking(False)
    block = _pattern(65536)
    sent = 0
    while sent < 256 * MEBIBYTE:
        try:
            sent += sock.send(block[sent % 65536 :])
        except (BlockingIOError, ssl.SSLWantWriteError):
            if not select.select([], [sock], [], STALLED)[1]:
                sock.settimeout(TIMEOUT)
                return sent
    pytest.fail(f"{sent} bytes were accepted although the peer does not read")
