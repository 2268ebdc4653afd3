"""The ways in which a proxy ends, and its messages."""

import os
import select
import signal
import socket
import ssl
from pathlib import Path

import pytest

import ktls_fast
from tests.proxy_support import (
    HOST,
    TIMEOUT,
    Event,
    ProxyIdentity,
    RunningProxy,
    connect_tls,
    echo_proxy,
)
from tests.streams import read_exactly, read_to_end


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_proxy_waits_for_its_connections_to_end(
    identity: ProxyIdentity, signum: signal.Signals
) -> None:
    with echo_proxy(identity) as proxy:
        with connect_tls(proxy.port, identity) as client:
            proxy.signal(signum)
            assert proxy.event("notice")["text"] == (
                "stopping; connections still open: 1, with 30 s to end"
            )
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, proxy.port), TIMEOUT)
            client.sendall(b"still served")
            assert read_exactly(client, 12) == b"still served"
            client.unwrap().close()
        assert proxy.wait() == 0
        assert proxy.event("connection")["result"] == "ok"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_stopped_workers_wait_for_their_connections_to_end(
    identity: ProxyIdentity, signum: signal.Signals
) -> None:
    with echo_proxy(identity, "--workers", "2") as proxy:
        with connect_tls(proxy.port, identity) as client:
            assert_echo(client, b"one")
            proxy.signal(signum)
            assert "connections still open" in proxy.event("notice")["text"]
            assert_echo(client, b"two")
            client.unwrap().close()
        assert proxy.wait() == 0
        assert proxy.event("connection")["result"] == "ok"


def test_under_nohup_a_hangup_is_ignored(identity: ProxyIdentity) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with echo_proxy(identity, prepare=ignore) as proxy:
        proxy.signal(signal.SIGHUP)
        proxy.signal(signal.SIGUSR1)
        proxy.event("stats")  # so the one before it has been seen
        with connect_tls(proxy.port, identity) as client:
            client.sendall(b"still there")
            assert read_exactly(client, 11) == b"still there"
            client.unwrap().close()
        assert proxy.stop() == 0


def test_connection_that_outlasts_the_drain_gets_a_close_notify(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--drain", "0.2") as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        assert_echo(client, b"one")
        proxy.signal(signal.SIGTERM)
        assert read_to_end(client) == b""  # a truncation would raise
        assert proxy.wait() == 0
        assert proxy.event("connection")["result"] == "stopped"


def test_second_signal_ends_at_once(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--drain", "60") as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        assert_echo(client, b"one")
        proxy.signal(signal.SIGTERM)
        proxy.event("notice")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):  # it waits for us until the second signal
            client.recv(1)
        proxy.signal(signal.SIGINT)
        assert proxy.wait() == 1
        assert proxy.event("notice", 1)["text"] == "connections that were still open were cut"
        assert_cut(proxy.event("connection"))


def test_two_signals_at_once_count_as_one(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--workers", "2") as proxy:
        with connect_tls(proxy.port, identity) as client:
            assert_echo(client, b"one")
            proxy.signal(signal.SIGTERM)
            proxy.signal(signal.SIGINT)
            proxy.event("notice")
            assert_echo(client, b"two")
            client.unwrap().close()
        assert proxy.wait() == 0


def assert_echo(client: ssl.SSLSocket, data: bytes) -> None:
    client.sendall(data)
    assert read_exactly(client, len(data)) == data


def assert_cut(logged: Event) -> None:
    assert logged["result"] == "cut: the proxy had to end at once"
    assert (logged["received"], logged["version"]) == (3, "TLSv1.3")


def test_a_handshake_that_is_cut_is_logged(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--drain", "60") as proxy,
        socket.create_connection((HOST, proxy.port), TIMEOUT) as client,
    ):
        client.sendall(b"\x16\x03\x01\x02\x00")  # the header of a ClientHello
        while not _activity(proxy)["open"]:
            pass
        proxy.signal(signal.SIGTERM)
        proxy.event("notice")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 1
        logged = proxy.event("connection")
    assert (logged["result"], logged["version"]) == ("cut: the proxy had to end at once", None)
    assert len(proxy.events_of("connection")) == 1


def _activity(proxy: RunningProxy) -> Event:
    before = len(proxy.events_of("stats"))
    proxy.signal(signal.SIGUSR1)
    return proxy.event("stats", before)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTERM])
def test_a_second_hangup_changes_nothing(
    identity: ProxyIdentity, workers: str, first: signal.Signals
) -> None:
    with echo_proxy(identity, "--workers", workers) as proxy:
        with connect_tls(proxy.port, identity) as client:
            assert_echo(client, b"one")
            proxy.signal(first)
            proxy.event("notice")
            client.settimeout(0.2)
            for _ in range(2):
                with pytest.raises(TimeoutError):  # so that the two signals do not count as one
                    client.recv(1)
                proxy.signal(signal.SIGHUP)
            client.settimeout(TIMEOUT)
            assert_echo(client, b"two")
            client.unwrap().close()
        assert proxy.wait() == 0
        assert proxy.event("connection")["result"] == "ok"


def test_second_signal_cuts_workers_and_what_they_cut_is_logged(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--workers", "2", "--drain", "60") as proxy,
        connect_tls(proxy.port, identity) as client,
    ):
        assert_echo(client, b"one")
        proxy.signal(signal.SIGTERM)
        proxy.event("notice")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 1
        assert_cut(proxy.event("connection"))


def test_signal_prints_the_counters_of_the_running_proxy(identity: ProxyIdentity) -> None:
    with echo_proxy(identity) as proxy, connect_tls(proxy.port, identity) as client:
        assert_echo(client, b"one")
        proxy.signal(signal.SIGUSR1)
        stats = proxy.event("stats")
        assert_echo(client, b"two")
    assert (stats["open"], stats["accepted"], stats["failed"]) == (1, 1, 0)
    assert list(stats["tls_stat"]) == list(ktls_fast.Namespace().tls_stat())
    assert stats["tls_stat"]["TlsTxSw"] == stats["tls_stat"]["TlsCurrTxSw"] == 1


def test_stats_option_prints_the_counters_at_the_end(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--stats") as proxy:
        for _ in range(3):
            with connect_tls(proxy.port, identity) as client:
                client.unwrap().close()
        proxy.events("connection", 3)
        assert proxy.stop() == 0
        stats = proxy.event("stats")
    assert (stats["open"], stats["accepted"], stats["failed"]) == (0, 3, 0)
    assert (stats["tls_stat"]["TlsRxSw"], stats["tls_stat"]["TlsCurrRxSw"]) == (3, 0)


def test_text_format_is_that_of_the_kernel(identity: ProxyIdentity, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with echo_proxy(identity, "--stats", "--log", str(log), "--log-format", "text") as proxy:
        assert proxy.stop() == 0
        lines = [event["text"].rstrip("\n") for event in proxy.events_of("text")]
    assert lines[0].startswith(f"ktls-fast proxy: listening on {HOST}:{proxy.port} (TLS), ")
    assert lines[1].startswith("connections of process ")
    assert f"{'TlsTxSw':<32}\t0" in lines
    assert log.read_bytes() == b""


def test_workers_share_the_port_and_all_serve(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--workers", "2", "--stats") as proxy:
        for _ in range(40):
            with connect_tls(proxy.port, identity) as client:
                assert_echo(client, b"one")
                client.unwrap().close()
        proxy.events("connection", 40)
        assert proxy.stop() == 0
        served = {event["pid"]: event["accepted"] for event in proxy.events("stats", 2)}
    assert sum(served.values()) == 40
    assert len(served) == 2
    assert min(served.values()) > 0


def test_workers_drain_when_the_parent_is_stopped(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--workers", "2") as proxy:
        with connect_tls(proxy.port, identity) as client:
            assert_echo(client, b"one")
            proxy.signal(signal.SIGTERM)
            proxy.event("notice")
            assert_echo(client, b"two")
            client.unwrap().close()
        assert proxy.wait() == 0


def test_a_dead_worker_is_reported_and_ends_the_proxy(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--workers", "2") as proxy:
        victim = _worker_pids(proxy)[0]
        os.kill(victim, signal.SIGKILL)
        assert proxy.wait() == 1
        assert proxy.event("notice")["text"] == (
            f"worker {victim} ended by signal 9; stopping the others"
        )


def test_workers_end_with_a_parent_that_is_killed(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--workers", "2") as proxy:
        workers = [os.pidfd_open(pid) for pid in _worker_pids(proxy)]
        proxy.signal(signal.SIGKILL)
        assert proxy.wait() == -signal.SIGKILL
        for worker in workers:
            _wait_for_end(worker)


def _worker_pids(proxy: RunningProxy) -> list[int]:
    proxy.signal(signal.SIGUSR1)
    return [event["pid"] for event in proxy.events("stats", 2)]


def _wait_for_end(pidfd: int) -> None:
    assert select.select([pidfd], [], [], TIMEOUT)[0], "a worker outlived its parent"
    os.close(pidfd)
