"""curl against a small HTTP server on our connections, with keys that change all the time."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.peers.http_server import body, http_server
from tests.peers.ours import server_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SIZES = [0, 1, 16383, 16384, 16385, 1 << 20, 64 << 20]


@pytest.fixture
def curl(require_tool: Callable[[str], str], pems: Path) -> Callable[[Sequence[str]], str]:
    """Run curl with these arguments; what it prints."""
    start = [require_tool("curl"), "--silent", "--show-error", "--fail", "--http1.1"]
    start += ["--cacert", str(pems / "roots.pem"), "--max-time", "60"]

    def run(arguments: Sequence[str]) -> str:
        done = subprocess.run([*start, *arguments], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    return run


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_downloads_of_every_size(
    curl: Callable[[Sequence[str]], str], tmp_path: Path, version: str
) -> None:
    with http_server(server_config(alpn=["http/1.1"], rekey_bytes=1 << 20)) as port:
        for size in SIZES:
            target = tmp_path / str(size)
            url = f"https://localhost:{port}/{size}"
            curl([f"--tlsv{version}", "--tls-max", version, "--output", str(target), url])
            assert target.read_bytes() == body(size), size


def test_parallel_downloads(curl: Callable[[Sequence[str]], str], tmp_path: Path) -> None:
    size, count = 3_000_000, 24
    with http_server(server_config(rekey_bytes=1 << 18)) as port:
        # One connection for each download: by default curl shares a few.
        urls = [f"https://localhost:{port}/{size}?{number}" for number in range(count)]
        outputs = [
            part for number in range(count) for part in ("--output", str(tmp_path / str(number)))
        ]
        curl(["--parallel", "--parallel-max", "12", "--parallel-immediate", *outputs, *urls])
    for number in range(count):
        assert (tmp_path / str(number)).read_bytes() == body(size), number


def test_uploads_are_echoed(curl: Callable[[Sequence[str]], str], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(body(5_000_000))
    with http_server(server_config(rekey_records=20)) as port:
        url = f"https://localhost:{port}/echo"
        curl(["--data-binary", f"@{source}", "--header", "Expect:", "--output", str(target), url])
    assert target.read_bytes() == source.read_bytes()


def test_one_connection_carries_many_requests(curl: Callable[[Sequence[str]], str]) -> None:
    with http_server(server_config(rekey_records=3)) as port:
        urls = [f"https://localhost:{port}/{size}" for size in (10, 20, 30, 40)]
        printed = curl(["--write-out", "<%{num_connects}>", *urls])
    marks = "1000"
    assert printed == "".join(
        f"{body(size).decode()}<{mark}>" for size, mark in zip((10, 20, 30, 40), marks, strict=True)
    )
