"""Many downloads at a time, by curl, with keys that change under way."""

import random
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.proxy_support import HOST, RunningProxy, UpstreamServer, make_identity

DOWNLOADS = 200
SIZE = 5 * 2**18 + 7
"""A bit more than 1 MiB, so that each download has a key change inside."""

POOL = memoryview(random.Random(5).randbytes(SIZE + DOWNLOADS * 1000))


def test_200_parallel_downloads_are_byte_exact(
    tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    identity = make_identity(tmp_path)
    with (
        UpstreamServer(_serve_http) as upstream,
        RunningProxy(upstream.port, *identity.arguments, "--rekey-every", "1MiB") as proxy,
    ):
        subprocess.run(
            (
                *(require_tool("curl"), "--silent", "--show-error", "--fail", "--noproxy", "*"),
                *("--parallel", "--parallel-immediate", "--parallel-max", str(DOWNLOADS)),
                *("--http1.1", "--cacert", str(identity.cert), "--max-time", "60"),
                *("--output", str(tmp_path / "#1")),
                f"https://localhost:{proxy.port}/[0-{DOWNLOADS - 1}]",
                *("--resolve", f"localhost:{proxy.port}:{HOST}"),
            ),
            check=True,
            timeout=90,
        )
        lines = proxy.events("connection", DOWNLOADS)
        assert proxy.stop() == 0
    wrong = [i for i in range(DOWNLOADS) if (tmp_path / str(i)).read_bytes() != _body(i)]
    assert wrong == []
    assert len(lines) == DOWNLOADS
    assert {line["result"] for line in lines} == {"ok"}
    assert min(line["key_updates_sent"] for line in lines) >= 1


def _body(number: int) -> memoryview:
    return POOL[number * 1000 :][:SIZE]


def _serve_http(client: socket.socket) -> None:
    """Answer one request for ``/NUMBER`` with the body of that number."""
    with client.makefile("rb") as stream:
        number = int(stream.readline().split()[1].strip(b"/"))
        while stream.readline() != b"\r\n":
            pass
    client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE)
    client.sendall(_body(number))
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
