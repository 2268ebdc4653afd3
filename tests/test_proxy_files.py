"""The files that a proxy's log may be, and access to the secrets that it writes."""

import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ktls_fast._tools.cli import main
from ktls_fast._tools.failure import CommandError
from ktls_fast._tools.files import check_key_log, open_log, write_private
from tests.proxy_support import TIMEOUT, ProxyIdentity, RunningProxy, connect_tls, echo_proxy
from tests.streams import read_exactly

PROXY = ("proxy", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1")


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def use_once(proxy: RunningProxy, identity: ProxyIdentity) -> None:
    with connect_tls(proxy.port, identity) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        client.unwrap().close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("log", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_log_goes_to_standard_output_even_if_that_is_a_socket(
    log: str, workers: str, identity: ProxyIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours, theirs = socket.socketpair()

    def prepare() -> None:
        os.dup2(theirs.fileno(), 1)

    with ours, theirs:
        ours.settimeout(TIMEOUT)
        arguments = ("--log", log, "--workers", workers)
        with echo_proxy(identity, *arguments, prepare=prepare) as proxy:
            use_once(proxy, identity)
            line = ours.recv(65536)
            assert proxy.stop() == 0
    assert json.loads(line)["result"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_gets_the_log_even_if_its_reader_comes_later(
    identity: ProxyIdentity, tmp_path: Path
) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    with echo_proxy(identity, "--log", str(fifo)) as proxy:
        use_once(proxy, identity)
        for _ in range(2):  # the second reader comes after the first has closed
            with fifo.open("rb", buffering=0) as reader:
                assert json.loads(reader.read(65536))["result"] == "ok"
            use_once(proxy, identity)
        assert proxy.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_proxy_without_standard_streams_serves(
    workers: str, identity: ProxyIdentity, tmp_path: Path
) -> None:
    """Its log has no line of the start with the port, so the system is asked for it."""
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    from tests.proxy_support import UpstreamServer, echo

    with (
        UpstreamServer(echo) as upstream,
        _silent_proxy(
            *("--listen", f"127.0.0.1:{port}", "--connect", f"127.0.0.1:{upstream.port}"),
            *(*identity.arguments, "--log", str(log), "--workers", workers),
        ),
    ):
        for _ in range(2000):
            with contextlib.suppress(ConnectionRefusedError):
                with connect_tls(port, identity) as client:
                    client.sendall(b"hello")
                    assert read_exactly(client, 5) == b"hello"
                    client.unwrap().close()
                break
            _wait_a_little()
        else:
            pytest.fail("it does not listen")
    assert "result=ok" in log.read_text()


def _wait_a_little() -> None:
    import select

    select.select([], [], [], 0.01)


@contextlib.contextmanager
def _silent_proxy(*arguments: str) -> Iterator[None]:
    import signal
    import subprocess
    import sys

    command = [sys.executable, "-m", "ktls_fast", "proxy", *arguments]
    script = 'exec "$@" <&- >&- 2>&-'
    process = subprocess.Popen(["/bin/sh", "-c", script, "sh", *command])
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("options", [("--log",), ("--keylog",)])
def test_an_unwritable_file_is_reported_before_anything_starts(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (option,) = options
    sock_path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(sock_path))
        for path in (sock_path, tmp_path, tmp_path / "no" / "file"):
            assert main([*PROXY, option, str(path)]) == 1
            message = capsys.readouterr().err
            assert message.count("\n") == 1
            assert str(path) in message
            assert "Traceback" not in message


def test_a_key_log_without_a_reader_blocks_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "keys"
    os.mkfifo(fifo)
    with pytest.raises(CommandError, match="a FIFO without a reader"):
        check_key_log(fifo)


def test_a_closed_descriptor_is_reported() -> None:
    with pytest.raises(CommandError, match="the descriptor 987 is closed"):
        open_log(Path("/dev/fd/987"))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: check_key_log(path),
        lambda path: write_private(path, "secret"),
        lambda path: main(["simulate", "--rekeys", "1", "--pcap", str(path.with_suffix(""))]),
    ],
)
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_with_secrets_are_readable_by_their_owner_only(
    write: Callable[[Path], object], umask: int, tmp_path: Path
) -> None:
    os.umask(umask)
    path = tmp_path / "wire.keylog"
    write(path)
    assert mode_of(path) == 0o600


@pytest.mark.parametrize(("mode", "notices"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_an_existing_key_log_readable_by_others_is_reported(
    mode: int, notices: int, identity: ProxyIdentity, tmp_path: Path
) -> None:
    keylog = tmp_path / "keys"
    keylog.touch()
    keylog.chmod(mode)
    if mode == 0o400 and os.geteuid() != 0:
        pytest.skip("it cannot be written")
    with echo_proxy(identity, "--workers", "2", "--keylog", str(keylog)) as proxy:
        use_once(proxy, identity)
        assert proxy.stop() == 0
        texts = [event["text"] for event in proxy.events_of("notice") if "key log" in event["text"]]
    assert texts == [f"the key log {keylog} can be read by others: chmod 600 {keylog}"] * notices
    assert mode_of(keylog) == mode


@pytest.mark.parametrize("originate", [False, True])
def test_a_proxys_key_log_is_readable_by_its_owner_only(
    originate: bool, identity: ProxyIdentity, tmp_path: Path
) -> None:
    keylog = tmp_path / "keys"
    if originate:
        with RunningProxy(1, "--originate", "--keylog", str(keylog)) as proxy:
            assert proxy.stop() == 0
    else:
        with echo_proxy(identity, "--keylog", str(keylog)) as proxy:
            use_once(proxy, identity)
            assert proxy.stop() == 0
    assert mode_of(keylog) == 0o600
