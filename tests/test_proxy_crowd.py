"""A proxy with more clients than it accepts, including silent ones."""

import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ktls_fast._tools.proxy.handshakes import PendingHandshakes
from ktls_fast._tools.proxy.listener import count_waiting, open_listeners
from ktls_fast._tools.proxy.options import HostPort
from tests.ports import free_port
from tests.proxy_support import (
    HOST,
    TIMEOUT,
    ProxyIdentity,
    RunningProxy,
    UpstreamServer,
    check_echo,
    connect_tls,
    echo_proxy,
)
from tests.streams import read_exactly, read_to_end

ROOM = 8


ALERT = r"(?i)alert internal error"


FIRST_BYTES_OF_A_HELLO = b"\x16\x03\x01\x02\x00\x01"


@pytest.mark.parametrize(
    "hello",
    [b"", FIRST_BYTES_OF_A_HELLO, FIRST_BYTES_OF_A_HELLO + bytes(400)],
    ids=["silent", "a few bytes", "half a message"],
)
def test_clients_without_a_handshake_do_not_block_others(
    identity: ProxyIdentity, hello: bytes
) -> None:
    with (
        echo_proxy(identity, "--max-connections", str(ROOM), "--handshake-timeout", "600") as proxy,
        _silent(proxy, 5 * ROOM, hello),
    ):
        for _ in range(3):
            check_echo(proxy, identity)
        assert "the oldest unfinished handshake" in proxy.event("notice")["text"]
        dropped = proxy.events("connection", ROOM)[0]
        assert dropped["result"] == "handshake failed: dropped for a newer client"


def test_thousands_of_silent_clients_fit_into_the_queue() -> None:
    """A client that finds it full tries again after a second or more, while others are accepted."""
    [[listener]] = open_listeners(HostPort(HOST, 0))
    with listener:
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    longest_queue = int.from_bytes(info[28:32], sys.byteorder)  # tcpi_sacked
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert longest_queue == min(4096, allowed)


def test_notice_of_a_crowd_is_not_repeated_for_each_client(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--max-connections", "1") as proxy,
        _silent(proxy, 2 * ROOM),
    ):
        check_echo(proxy, identity)
        assert len(proxy.events_of("notice")) == 1


def test_connections_whose_handshake_is_done_are_not_dropped(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--max-connections", str(ROOM)) as proxy,
        ExitStack() as stack,
    ):
        served = [stack.enter_context(connect_tls(proxy.port, identity)) for _ in range(ROOM - 1)]
        with _silent(proxy, 3 * ROOM):
            check_echo(proxy, identity)
            for client in served:
                client.sendall(b"still here")
                assert read_exactly(client, 10) == b"still here"


def test_the_last_client_is_not_dropped_while_none_is_waiting(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, "--max-connections", "1") as proxy:
        for nth in range(5):
            with socket.create_connection((HOST, proxy.port), TIMEOUT) as client:
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    client.recv(1)
            proxy.event("connection", nth)
        assert not proxy.events_of("notice")


def test_a_slow_handshake_continues_while_there_is_room(identity: ProxyIdentity) -> None:
    with (
        echo_proxy(identity, "--max-connections", str(ROOM)) as proxy,
        socket.create_connection((HOST, proxy.port), TIMEOUT) as slow,
    ):
        slow.sendall(FIRST_BYTES_OF_A_HELLO[:1])
        for _ in range(2 * ROOM):
            check_echo(proxy, identity)
        slow.settimeout(0.1)
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_an_upstream_that_refuses_is_reported_to_the_client_by_an_alert(
    identity: ProxyIdentity,
) -> None:
    with RunningProxy(free_port(), *identity.arguments) as proxy:
        with connect_tls(proxy.port, identity) as client:
            client.sendall(b"in vain")
            with pytest.raises(ssl.SSLError, match=ALERT):
                read_to_end(client)
        assert "connection refused" in proxy.event("connection")["result"]


def test_a_client_that_keeps_sending_gets_the_alert_of_a_refused_upstream(
    identity: ProxyIdentity,
) -> None:
    """Unread data must not turn the alert into a reset."""
    with RunningProxy(free_port(), *identity.arguments) as proxy:
        for _ in range(5):
            with connect_tls(proxy.port, identity) as client:
                client.sendall(bytes(200_000))
                with pytest.raises(ssl.SSLError, match=ALERT):
                    read_to_end(client)


def test_a_missing_descriptor_for_the_upstream_is_reported_by_an_alert_and_a_notice(
    identity: ProxyIdentity,
) -> None:
    with echo_proxy(identity) as proxy:
        check_echo(proxy, identity)
        proxy.event("connection")
        proxy.leave_descriptors(1)
        with (
            connect_tls(proxy.port, identity) as client,
            pytest.raises(ssl.SSLError, match=ALERT),
        ):
            read_to_end(client)
        assert "too many open files" in proxy.event("notice")["text"]
        # The previous connection may still have some open, so this one fails a step later.
        assert proxy.event("connection", 1)["result"].endswith("too many open files")
        proxy.leave_descriptors(100)
        check_echo(proxy, identity)


def test_a_plain_client_is_reset_if_the_upstream_refuses() -> None:
    with (
        RunningProxy(free_port(), "--originate") as proxy,
        socket.create_connection((HOST, proxy.port), TIMEOUT) as client,
        pytest.raises(ConnectionResetError),
    ):
        read_to_end(client)


def test_a_plain_client_is_reset_if_the_handshake_fails() -> None:
    with (
        UpstreamServer(lambda sock: sock.sendall(b"no TLS")) as upstream,
        RunningProxy(upstream.port, "--originate") as proxy,
        socket.create_connection((HOST, proxy.port), TIMEOUT) as client,
        pytest.raises(ConnectionResetError),
    ):
        read_to_end(client)


def test_one_handshake_is_dropped_for_each_waiting_client() -> None:
    handshakes = PendingHandshakes()
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(5)]
        pending = [
            stack.enter_context(handshakes.pending(stack.enter_context(near))) for near, _ in pairs
        ]
        for handshake in pending:
            handshake.begin -= 10
        for _, far in pairs:
            stack.enter_context(far).settimeout(TIMEOUT)
        assert handshakes.drop_oldest(2) == 2
        assert [handshake.dropped for handshake in pending] == [True] * 2 + [False] * 3
        assert [far.recv(1) for _, far in pairs[:2]] == [b"", b""]
        assert not handshakes.may_drop()
        assert handshakes.drop_oldest(10) == 3
    assert not handshakes.may_drop()


@pytest.mark.parametrize("clients", [0, 1, 5])
def test_clients_that_wait_are_counted_and_one_is_supposed(clients: int) -> None:
    [[listener]] = open_listeners(HostPort(HOST, 0))
    with listener, ExitStack() as stack:
        for _ in range(clients):
            stack.enter_context(socket.create_connection(listener.getsockname(), TIMEOUT))
        assert count_waiting(listener) == max(1, clients)


@contextmanager
def _silent(proxy: RunningProxy, count: int, hello: bytes = b"") -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((HOST, proxy.port), TIMEOUT))
            client.sendall(hello)
        yield
