"""What the machine may do to a proxy: a full disk, no more descriptors, too many clients."""

import hashlib
import socket
import ssl
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.proxy_support import HOST, TIMEOUT, ProxyIdentity, RunningProxy, connect_tls, echo_proxy
from tests.streams import read_exactly, read_to_end

FEW_FILES = 10


def test_a_full_disk_loses_log_lines_but_no_connection(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--log", "/dev/full", "--stats") as proxy:
        for _ in range(5):
            _check_echo(proxy, identity)
        assert proxy.stop() == 0
        notices = [event["text"] for event in proxy.events_of("notice")]
        assert proxy.event("stats")["failed"] == 0
    # If the last connection is still open at the stop, the log says so, too.
    assert [text for text in notices if not text.startswith("stopping")] == [
        "cannot write the log /dev/full: no space left on device;"
        " connections continue, and lost lines are counted",
        "5 lines of the log /dev/full were lost",
    ]


def test_the_log_is_appended_to_an_existing_file(identity: ProxyIdentity, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("what was there\n")
    with echo_proxy(identity, "--log", str(log)) as proxy:
        _check_echo(proxy, identity)
        assert proxy.stop() == 0
    first, second = log.read_text().splitlines()
    assert first == "what was there"
    assert '"result": "ok"' in second


def test_more_clients_than_allowed_wait_their_turn(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--max-connections", "1") as proxy:
        with connect_tls(proxy.port, identity) as first:
            first.sendall(b"one")
            assert read_exactly(first, 3) == b"one"
            waiting = socket.create_connection((HOST, proxy.port), TIMEOUT)
            waiting.sendall(b"no TLS, so that being served means being refused")
            waiting.settimeout(0.3)
            with waiting:
                with pytest.raises(TimeoutError):
                    waiting.recv(1)
                first.unwrap().close()
                waiting.settimeout(TIMEOUT)
                read_to_end(waiting)
        assert proxy.events("connection", 2)[1]["result"].startswith("handshake failed: ")


def test_a_proxy_without_descriptors_waits_without_busy_looping(identity: ProxyIdentity) -> None:
    with echo_proxy(identity) as proxy:
        _check_echo(proxy, identity)
        proxy.leave_descriptors(FEW_FILES)
        with ExitStack() as stack:
            for _ in range(FEW_FILES):
                client = socket.create_connection((HOST, proxy.port), TIMEOUT)
                stack.enter_context(client)
            assert "too many open files" in proxy.event("notice")["text"]
            before = proxy.cpu_seconds()
            client.settimeout(1.2)
            with pytest.raises(TimeoutError):
                client.recv(1)
            assert proxy.cpu_seconds() - before < 0.3
        _check_echo(proxy, identity)


def test_connections_that_have_ended_leave_no_descriptor_open(identity: ProxyIdentity) -> None:
    with echo_proxy(identity) as proxy:
        _check_echo(proxy, identity)
        proxy.event("connection")
        # The first connection may still have some open: fewer than these are not a leak.
        before = proxy.open_files()
        for _ in range(10):
            _check_echo(proxy, identity)
            with connect_tls(proxy.port, identity) as truncating:
                truncating.sendall(b"one")
            with socket.create_connection((HOST, proxy.port), TIMEOUT) as lost:
                lost.sendall(b"GET / HTTP/1.1\r\n\r\n")
                read_to_end(lost)
        proxy.events("connection", 31)
        for _ in range(200):
            if proxy.open_files() <= before:
                return
            threading.Event().wait(0.1)  # the background thread may not have closed all yet
        assert proxy.open_files() <= before


def test_certificate_made_at_start_is_the_one_that_is_announced() -> None:
    with RunningProxy(1) as proxy:
        start = proxy.event("start")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        raw = socket.create_connection((HOST, proxy.port), TIMEOUT)
        with context.wrap_socket(raw) as client:
            der = client.getpeercert(binary_form=True)
    assert der is not None
    assert start["certificate"] == "self-signed"
    assert start["fingerprint"].replace(":", "").lower() == hashlib.sha256(der).hexdigest()


def _check_echo(proxy: RunningProxy, identity: ProxyIdentity) -> None:
    with connect_tls(proxy.port, identity) as client:
        client.sendall(b"one")
        assert read_exactly(client, 3) == b"one"
        client.unwrap().close()
