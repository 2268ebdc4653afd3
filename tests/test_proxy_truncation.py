"""TLS peers that end without close_notify: nothing that they sent is lost."""

import random
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
)
from tests.streams import read_exactly, read_to_end

DATA = random.Random(19).randbytes(2_000_000)
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(DATA)
TRUNCATED = "ended without close_notify"
DOWNLOADS = 3

HAPROXY = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 20s
    timeout client 20s
    timeout server 20s
listen through
    bind {host}:{port}
    server next {host}:{upstream}
"""


class LateReader:
    """An upstream that reads on request, and records the data and how it ended."""

    def __init__(self) -> None:
        self.may_read = threading.Event()
        self.has_ended = threading.Event()
        self.data = b""
        self.end = "nothing"

    def __call__(self, sock: socket.socket) -> None:
        self.may_read.wait(TIMEOUT)
        data = bytearray()
        try:
            while more := sock.recv(65536):
                data += more
            self.end = "FIN"
        except ConnectionResetError:
            self.end = "reset"
        self.data = bytes(data)
        self.has_ended.set()


@pytest.mark.parametrize(("truncation", "end"), [("reset", "reset"), ("fin", "FIN")])
def test_client_that_just_closes_loses_no_byte(
    identity: ProxyIdentity, truncation: str, end: str
) -> None:
    reader = LateReader()
    with (
        UpstreamServer(reader) as upstream,
        _terminating(upstream.port, identity, "--truncation", truncation, "--stats") as proxy,
    ):
        client = connect_tls(proxy.port, identity)
        sending = threading.Thread(target=_send_and_close, args=(client,))
        sending.start()
        reader.may_read.set()
        sending.join(TIMEOUT)
        assert reader.has_ended.wait(TIMEOUT)
        assert (len(reader.data), reader.end) == (len(DATA), end)
        assert reader.data == DATA
        assert proxy.event("connection")["result"] == TRUNCATED
        assert proxy.stop() == 0
        assert proxy.event("stats")["failed"] == 0


def test_the_end_of_the_upstream_is_passed_on_at_once(identity: ProxyIdentity) -> None:
    """It learns at once, without reading, that data is missing."""

    def answer(sock: socket.socket) -> None:
        assert read_exactly(sock, 7) == b"request"
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            read_to_end(sock)

    with UpstreamServer(answer) as upstream, _terminating(upstream.port, identity) as proxy:
        with connect_tls(proxy.port, identity) as client:
            client.sendall(b"request")
            assert client.recv(1) == b""
        line = proxy.event("connection")
        assert line["result"] == TRUNCATED
        assert line["seconds"] < 4


@pytest.mark.parametrize("truncation", ["reset", "fin"])
def test_client_that_stops_sending_without_close_notify_gets_its_answer(
    identity: ProxyIdentity, truncation: str
) -> None:
    def answer(sock: socket.socket) -> None:
        assert read_exactly(sock, 7) == b"request"
        sock.sendall(DATA)

    with (
        UpstreamServer(answer) as upstream,
        _terminating(upstream.port, identity, "--truncation", truncation) as proxy,
    ):
        with connect_tls(proxy.port, identity) as client:
            client.sendall(b"request")
            socket.socket.shutdown(client, socket.SHUT_WR)
            assert read_to_end(client) == DATA
        assert proxy.event("connection")["result"] == TRUNCATED


def test_s_client_that_just_closes_is_not_a_failure(
    identity: ProxyIdentity, require_tool: Callable[[str], str]
) -> None:
    def answer(sock: socket.socket) -> None:
        got.append(_read_to_end_or_reset(sock))

    got: list[bytes] = []
    with (
        UpstreamServer(answer) as upstream,
        _terminating(upstream.port, identity, "--truncation", "fin", "--stats") as proxy,
    ):
        for _ in range(3):
            subprocess.run(
                (
                    *(require_tool("openssl"), "s_client", "-quiet", "-no_ign_eof"),
                    *("-connect", f"{HOST}:{proxy.port}", "-CAfile", str(identity.cert)),
                ),
                input=DATA[:100_000].replace(b"\n", b" "),
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        proxy.events("connection", 3)
        assert proxy.stop() == 0
        assert proxy.event("stats")["failed"] == 0
    assert [len(data) for data in got] == [100_000] * 3


@pytest.mark.parametrize("tool", ["curl", "wget"])
def test_downloads_from_a_server_that_just_closes_are_complete(
    identity: ProxyIdentity, require_tool: Callable[[str], str], tmp_path: Path, tool: str
) -> None:
    with (
        _closing_server(identity) as server,
        _originating(server.port, identity) as proxy,
    ):
        _download(require_tool, tool, proxy.port, tmp_path)


def test_downloads_through_two_proxies_are_complete(
    identity: ProxyIdentity, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    with (
        _closing_server(identity) as server,
        _originating(server.port, identity) as inner,
        _terminating(inner.port, identity) as middle,
        _originating(middle.port, identity) as outer,
    ):
        _download(require_tool, "curl", outer.port, tmp_path)


def test_downloads_through_haproxy_are_complete(
    identity: ProxyIdentity, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    with (
        _closing_server(identity) as server,
        _originating(server.port, identity) as proxy,
        _haproxy(require_tool("haproxy"), proxy.port, tmp_path) as port,
    ):
        _download(require_tool, "curl", port, tmp_path)


def test_an_answer_without_a_length_is_not_taken_as_complete(
    identity: ProxyIdentity, require_tool: Callable[[str], str]
) -> None:
    """Only the end of the stream marks the end of the answer, and it was not authentic."""
    with (
        _closing_server(identity, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") as server,
        _originating(server.port, identity) as proxy,
    ):
        command = (require_tool("curl"), "-sS", "--noproxy", "*", f"http://{HOST}:{proxy.port}/")
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.stdout == DATA
    assert done.returncode != 0


def _download(require_tool: Callable[[str], str], tool: str, port: int, directory: Path) -> None:
    options = {"curl": ("-sSf", "--noproxy", "*", "-o"), "wget": ("-q", "--no-proxy", "-O")}
    for number in range(DOWNLOADS):
        file = directory / str(number)
        command = (require_tool(tool), *options[tool], str(file), f"http://{HOST}:{port}/")
        subprocess.run(command, check=True, timeout=60)
        assert file.read_bytes() == DATA


def _send_and_close(client: ssl.SSLSocket) -> None:
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)  # reads the tickets; otherwise the close would be a reset
    client.settimeout(TIMEOUT)
    client.sendall(DATA)
    client.close()


def _read_to_end_or_reset(sock: socket.socket) -> bytes:
    try:
        return read_to_end(sock)
    except ConnectionResetError:
        return b""


def _terminating(connect: int, identity: ProxyIdentity, *arguments: str) -> RunningProxy:
    return RunningProxy(connect, *identity.arguments, *arguments)


def _originating(connect: int, identity: ProxyIdentity, *arguments: str) -> RunningProxy:
    arguments = ("--ca", str(identity.cert), "--server-name", "localhost", *arguments)
    return RunningProxy(connect, "--originate", *arguments)


@contextmanager
def _closing_server(identity: ProxyIdentity, head: bytes = HEAD) -> Iterator[UpstreamServer]:
    """Run a server that answers with DATA and closes as Python's ssl does, without close_notify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as server:
            request = b""
            while b"\r\n\r\n" not in request:
                more = server.recv(65536)
                if not more:
                    return
                request += more
            server.sendall(head + DATA)

    with UpstreamServer(serve) as upstream:
        yield upstream


@contextmanager
def _haproxy(tool: str, upstream: int, directory: Path) -> Iterator[int]:
    port = free_port()
    config = directory / "haproxy.cfg"
    config.write_text(HAPROXY.format(host=HOST, port=port, upstream=upstream))
    process = subprocess.Popen((tool, "-db", "-f", str(config)), stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as sock:
            sock.settimeout(0.1)
            if sock.connect_ex((HOST, port)) == 0:
                return
        threading.Event().wait(0.05)
    pytest.fail("no server listens")
