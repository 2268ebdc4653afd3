"""Hypothesis profiles, and the fixtures that every test file may use."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ktls_fast import Relay, _backends, _kernel_tls
from ktls_fast._kernel_socket import KernelSocket
from tests.backends import SetHost
from tests.ktls_ends import LEFT_OPEN, KtlsEnds, MakePair, ends_over
from tests.ktls_pipe import PipeEnds, open_pipe
from tests.peers.pki import pki
from tests.proxy_support import ProxyIdentity, make_identity
from tests.reference import CIPHERS, TLS12, TLS13, Cipher, TrafficKey, traffic_key

IN_CI = bool(os.environ.get("CI"))
SOCKET_TIMEOUT = 30.0
# Only the tests of this variable set it.
os.environ.pop("KTLS_FAST_BACKEND", None)

# The programs that the tests start inherit ignored signals: SIGHUP under nohup, SIGINT in the
# background of a shell.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "fast", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("slow", settings.get_profile("fast"), max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "slow" if IN_CI else "fast"))


@pytest.fixture(autouse=True)
def close_what_is_left_open() -> Iterator[None]:
    """Close the sockets that ``attach`` has created."""
    yield
    while LEFT_OPEN:
        LEFT_OPEN.pop().close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Reject names that differ between processes, as pytest-xdist could not distribute them."""
    if unstable := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        message = f"the name of a case contains an address: {unstable[0]}"
        raise pytest.UsageError(message)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Return a function from the name of a program to its path.

    If the program is not installed, the function skips the test, or lets it fail in CI.
    """
    return _path_of


@pytest.fixture
def tcp_pair() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Yield a function that returns two connected TCP sockets on 127.0.0.1; close all of them."""
    with ExitStack() as stack:

        def make() -> tuple[socket.socket, socket.socket]:
            ends = connect_pair()
            for end in ends:
                stack.enter_context(end)
            return ends

        yield make


@pytest.fixture(scope="session", params=CIPHERS, ids=lambda cipher: cipher.name)
def cipher(request: pytest.FixtureRequest) -> Cipher:
    """Return each cipher of the kernel, in turn."""
    param: Cipher = request.param
    return param


def _keys_of(*versions: int) -> list[TrafficKey]:
    return [
        traffic_key(version, cipher)
        for version in versions
        for cipher in CIPHERS
        if version in cipher.versions
    ]


def _id_of(key: TrafficKey) -> str:
    return f"{'1.3' if key.version == TLS13 else '1.2'}-{key.cipher.name}"


@pytest.fixture(scope="session", params=_keys_of(TLS12, TLS13), ids=_id_of)
def key(request: pytest.FixtureRequest) -> TrafficKey:
    """Return a traffic key for each version and cipher; its first record has number 0."""
    param: TrafficKey = request.param
    return param


@pytest.fixture(scope="session", params=_keys_of(TLS13), ids=lambda key: key.cipher.name)
def key13(request: pytest.FixtureRequest) -> TrafficKey:
    """Return a TLS 1.3 traffic key for each cipher; its first record has number 0."""
    param: TrafficKey = request.param
    return param


@pytest.fixture
def ends(tcp_pair: MakePair) -> KtlsEnds:
    """Return a sender and a receiver, which both have the key of generation 0."""
    return ends_over(tcp_pair)


@pytest.fixture
def kernel_ends(tcp_pair: MakePair) -> Iterator[tuple[KernelSocket, KernelSocket]]:
    """Yield two connected KernelSockets without the ULP, for which the kernel is plain TCP."""
    near, far = (KernelSocket.over(sock) for sock in tcp_pair())
    with near, far:
        yield near, far


@pytest.fixture
def relay() -> Iterator[Relay]:
    """Yield a relay, and close it."""
    with Relay() as made:
        yield made


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> ProxyIdentity:
    """Return the certificate and key of a proxy, as files."""
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
def run_openssl(require_tool: Callable[[str], str]) -> Callable[..., bytes]:
    """Return a function that runs the program openssl, which must succeed, for its output."""
    tool = require_tool("openssl")

    def run(*arguments: str, feed: bytes = b"") -> bytes:
        done = subprocess.run([tool, *arguments], input=feed, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return a file with the private key of the test PKI's server."""
    file = tmp_path / "plain.key"
    file.write_bytes(pki().server.key)
    return file


@pytest.fixture
def pipe() -> Iterator[PipeEnds]:
    """Yield a pipe, and close it."""
    with open_pipe() as made:
        yield made


def _path_of(tool: str) -> str:
    path = shutil.which(tool)
    if path is not None:
        return path
    reason = f"{tool} is not installed"
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def connect_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOCKET_TIMEOUT)
        near = socket.create_connection(listener.getsockname(), SOCKET_TIMEOUT)
        far, _ = listener.accept()
    for end in (near, far):
        end.settimeout(SOCKET_TIMEOUT)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> SetHost:
    """Return a function that simulates a host with kernel TLS, or without, for ``False``."""

    def has_tls(answer: bool) -> None:
        monkeypatch.delenv(_backends.VARIABLE, raising=False)
        monkeypatch.setattr(_kernel_tls, "can_rekey", lambda: answer)
        if answer:
            monkeypatch.setattr(_kernel_tls, "require_ulp", lambda: None)

    return has_tls
