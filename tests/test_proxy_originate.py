"""A proxy that originates TLS."""

import random
import socket
import ssl
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.proxy_support import (
    HOST,
    TIMEOUT,
    ProxyIdentity,
    RunningProxy,
    UpstreamServer,
    connect_tls,
    echo,
    echo_proxy,
    make_identity,
)
from tests.streams import read_exactly, read_to_end

MEBIBYTE = 2**20


def test_originating_proxy_speaks_to_a_terminating_one(identity: ProxyIdentity) -> None:
    data = random.Random(3).randbytes(MEBIBYTE)
    with (
        echo_proxy(identity, "--rekey-every", "128KiB", "--rekey-interval", "0") as inner,
        RunningProxy(
            inner.port,
            *("--originate", "--ca", str(identity.cert), "--server-name", "localhost"),
            *("--rekey-every", "64KiB", "--rekey-interval", "0"),
        ) as outer,
    ):
        with socket.create_connection((HOST, outer.port), TIMEOUT) as client:
            for start in range(0, MEBIBYTE, 65536):
                client.sendall(data[start : start + 65536])
                assert read_exactly(client, 65536) == data[start : start + 65536]
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(client) == b""
        lines = [outer.event("connection"), inner.event("connection")]
    assert [line["result"] for line in lines] == ["ok", "ok"]
    assert lines[0]["sent"] == lines[1]["received"] == MEBIBYTE
    assert lines[0]["key_updates_sent"] == lines[1]["key_updates_received"] >= 15
    assert lines[0]["key_updates_received"] == lines[1]["key_updates_sent"] >= 7


def test_originating_proxy_refuses_an_upstream_that_it_cannot_trust(
    identity: ProxyIdentity, tmp_path: Path
) -> None:
    stranger = make_identity(tmp_path)
    with (
        echo_proxy(identity) as inner,
        RunningProxy(
            inner.port, "--originate", "--ca", str(stranger.cert), "--server-name", "localhost"
        ) as outer,
    ):
        with (
            socket.create_connection((HOST, outer.port), TIMEOUT) as client,
            pytest.raises(ConnectionResetError),
        ):
            read_to_end(client)
        assert outer.event("connection")["result"].startswith("handshake failed: ")
        assert inner.event("connection")["result"].startswith("handshake failed: ")


def test_client_of_a_refused_upstream_gets_an_alert(identity: ProxyIdentity) -> None:
    port = free_port()
    with (
        RunningProxy(port, *identity.arguments) as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLError, match=r"(?i)alert internal error"):
            read_to_end(client)
        assert proxy.event("connection")["result"] == f"upstream {HOST}:{port}: connection refused"


def test_refused_upstream_leaves_other_connections_alone(identity: ProxyIdentity) -> None:
    with (
        UpstreamServer(echo) as upstream,
        RunningProxy(upstream.port, *identity.arguments) as proxy,
        connect_tls(proxy.port, identity) as first,
    ):
        first.sendall(b"before")
        assert read_exactly(first, 6) == b"before"
        upstream.stop_listening()
        with (
            connect_tls(proxy.port, identity) as second,
            pytest.raises(ssl.SSLError, match=r"(?i)alert internal error"),
        ):
            read_to_end(second)
        first.sendall(b"after")
        assert read_exactly(first, 5) == b"after"
