"""The examples work, byte for byte, while the keys change all the time."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.cpython import doors
from tests.peers.pki import pki
from tests.peers.support import dial
from tests.ports import free_port
from tests.rekeying_proxy import RekeyingProxy
from tests.run_example import ENGINE, EXAMPLES

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

ROOT: Final = EXAMPLES.parent
PATIENCE: Final = 60.0
PAYLOAD: Final = random.Random(12).randbytes(600_000)
PAIRS: Final = [
    ("aiohttp_client", "aiohttp_server"),
    ("aiohttp_client", "hypercorn_server"),
    ("httpx_client", "uvicorn_server"),
    ("websockets_client", "websockets_server"),
    ("requests_client", "http_server"),
]
WITHOUT_LOOP: Final = {"requests_client"}
NAMES: Final = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@dataclass(slots=True)
class RunningServer:
    """A server example, and what it has printed once it has ended."""

    process: subprocess.Popen[bytes]
    port: int
    errors: str = ""

    def dial(self) -> socket.socket:
        """Connect to the server as soon as it listens."""
        for _ in range(int(PATIENCE / 0.05)):
            with suppress(ConnectionRefusedError):
                return dial(self.port)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
                break
        pytest.fail("the server does not listen")


@contextmanager
def running(loop: str, name: str, folder: Path) -> Iterator[RunningServer]:
    """Run a server example during the block."""
    port = free_port()
    files = str(folder / "server.pem"), str(folder / "server.key")
    process = subprocess.Popen(
        command(loop, name, str(port), *files),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    server = RunningServer(process, port)
    try:
        yield server
    finally:
        try:
            server.errors = process.communicate(timeout=PATIENCE)[1].decode()
        finally:
            process.kill()
            process.wait(PATIENCE)


def command(loop: str, name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.run_example", loop, name, *arguments]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(("client", "server"), PAIRS, ids=lambda name: name)
def test_an_example_works_while_keys_change(
    client: str, server: str, loop: str, tmp_path: Path
) -> None:
    if loop == "uvloop" and client in WITHOUT_LOOP:
        pytest.skip("the example has no event loop")
    require_front_doors()
    pki().write_to(tmp_path)
    with running(loop, server, tmp_path) as serving:
        proxy = RekeyingProxy(pki(), serving.dial)
        scheme = "wss" if server.startswith("websockets") else "https"
        url, roots = f"{scheme}://localhost:{proxy.port}/", str(tmp_path / "roots.pem")
        done = subprocess.run(
            command(loop, client, url, roots),
            check=False,
            input=PAYLOAD,
            capture_output=True,
            timeout=PATIENCE,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr.decode()
        updates = proxy.key_updates()
    assert done.stdout == PAYLOAD
    for side in updates:
        assert side.ours > 10, updates
        assert side.theirs > 0, updates
    for errors in (done.stderr.decode(), serving.errors):
        assert f"{ENGINE} 1" in errors
        assert "Traceback" not in errors
        assert "never retrieved" not in errors


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short_and_differs_in_one_line(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    lines = text.splitlines()
    assert len(lines) <= 30
    (changed,) = [at for at, line in enumerate(lines) if "# before: " in line]
    lines[changed] = as_before(lines[changed])
    before = ast.parse("\n".join(lines))
    used = {node.id for node in ast.walk(before) if isinstance(node, ast.Name)}
    assert "ktls_fast" not in used, "another line needs the package"


def as_before(line: str) -> str:
    """Return what a changed line was before, from its comment."""
    old = line.partition("# before: ")[2]
    indent = line[: len(line) - len(line.lstrip())]
    return "" if old.startswith("nothing") else indent + old


def test_every_example_is_run() -> None:
    assert {name for pair in PAIRS for name in pair} == set(NAMES)


def require_front_doors() -> None:
    """Skip the test if the package has no front doors yet."""
    for door in ("ssl", "asyncio"):
        if reason := doors.why_closed(door):
            pytest.skip(reason)
