"""The demo: a small run, and the results of runs that fail."""

import hashlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ktls_fast._tools.cli import main
from ktls_fast._tools.demo import over_queue, plan
from ktls_fast._tools.demo.job import TransferJob, TransferOutcome
from ktls_fast._tools.demo.payload import EchoReceiver, RandomPayload
from ktls_fast._tools.demo.proxy_process import ProxyOutput
from ktls_fast._tools.demo.result import judge

TIMEOUT = 60.0
JOB = TransferJob(kind="ssl", number=0, port=1, size=100, rekey_every=10, ca_file="")
OUTCOME = TransferOutcome(number=0, sent="aa", received="aa", begin=1.0, end=2.0)
LINE: dict[str, Any] = {
    "result": "ok",
    "records_sent": 1,
    "records_received": 2,
    "key_updates_sent": 3,
    "key_updates_received": 4,
}


def test_a_small_demo_transfers_intact_and_changes_keys_both_ways(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--size", "8MiB", "--connections", "3", "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    connections = result["connections"]
    assert result["faults"] == []
    assert result["bytes_each_way"] == 8 * 2**20
    assert sum(one["bytes_each_way"] for one in connections) == 8 * 2**20
    assert [one["verdict"] for one in connections] == ["ok", "ok", "ok"]
    assert min(one["key_updates_sent"] for one in connections) >= 20
    assert min(one["key_updates_received"] for one in connections) >= 1
    assert connections[0]["key_updates_received"] >= 5
    assert result["tls_stat"]["TlsTxRekeyOk"] == sum(one["key_updates_sent"] for one in connections)


def test_a_killed_demo_leaves_neither_files_nor_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ktls_fast", "demo", "--size", "512GiB"]
    demo = subprocess.Popen(
        [*command, "--connections", "3"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        family = _wait_for_proxy_and_clients(demo.pid)
        handles = [os.pidfd_open(pid) for pid in family]
    finally:
        demo.kill()
        demo.wait()
    for handle in handles:
        assert select.select([handle], [], [], TIMEOUT)[0], "a process is left"
        os.close(handle)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("ktls")] == []


def _wait_for_proxy_and_clients(parent: int) -> list[int]:
    """Return the children of the demo: upstream, proxy, three clients and a helper of Python."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if len(children) >= 5:
            return [int(pid) for pid in children]
        select.select([], [], [], 0.02)
    pytest.fail("the demo does not start")


def test_without_openssl_our_own_client_sends_the_key_updates(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert main(["demo", "--size", "3MiB", "--connections", "2"]) == 0
    out = capfd.readouterr().out
    assert "0 ktls_fast" in out
    assert "TlsTxSw" in out


def test_the_first_client_can_change_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/bin/it")
    assert plan.client_kinds(5) == ["openssl", "ssl", "curl", "ssl", "ssl"]
    assert plan.client_kinds(1) == ["openssl"]
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert plan.client_kinds(3) == ["ktls_fast", "ssl", "ssl"]


@pytest.mark.parametrize(("size", "count"), [(2**20, 1), (10**9 + 7, 4), (512 * 2**20, 100)])
def test_shares_are_nearly_equal_and_add_up(size: int, count: int) -> None:
    shares = plan.split_size(size, count)
    assert sum(shares) == size
    assert len(shares) == count
    assert max(shares) - min(shares) <= 1


def test_equal_transfers_are_no_failure() -> None:
    assert _faults() == []


@pytest.mark.parametrize(
    ("outcome", "upstream", "line", "fault"),
    [
        ({"received": "bb"}, "aa", {}, "the data received is not the data sent"),
        ({}, "bb", {}, "the data received by the upstream is not the data sent"),
        ({}, None, {}, "the data received by the upstream is not the data sent"),
        ({"error": "no luck"}, "aa", {}, "no luck"),
        ({}, "aa", {"result": "truncated"}, "the proxy reported: truncated"),
        ({}, "aa", {"key_updates_sent": 0}, "the proxy sent no KeyUpdate"),
        ({}, "aa", {"key_updates_received": 0}, "the client sent no KeyUpdate"),
    ],
)
def test_each_difference_is_a_failure(
    outcome: dict[str, str], upstream: str | None, line: dict[str, Any], fault: str
) -> None:
    assert _faults(outcome, upstream, line) == [f"0 ssl: {fault}"]


def test_the_payload_has_its_length_and_digest() -> None:
    payload = RandomPayload(1, 600_001, without=b"kK")
    data = b"".join(payload)
    assert len(data) == 600_001
    assert not {*b"kK"} & {*data}
    assert payload.digest == hashlib.sha256(data).hexdigest()
    assert data != b"".join(RandomPayload(2, 600_001, without=b"kK"))


def test_echo_finds_the_body_wherever_the_head_is_split() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    for cut in range(1, len(response)):
        counted: list[int] = []
        echo = EchoReceiver(5, counted.append)
        echo.feed(memoryview(response[:cut]))
        assert not echo.done
        echo.feed(memoryview(response[cut:]))
        assert echo.done
        assert echo.digest == hashlib.sha256(b"hello").hexdigest()
        assert sum(counted) == 5


def test_echo_refuses_an_early_end_and_another_answer() -> None:
    with pytest.raises(ValueError, match="ended 5 bytes early"):
        EchoReceiver(5, print).feed(memoryview(b""))
    with pytest.raises(ValueError, match=r"answered b'HTTP/1\.1 500"):
        EchoReceiver(5, print).feed(memoryview(b"HTTP/1.1 500 no\r\n\r\n"))


def _faults(
    outcome: dict[str, Any] | None = None,
    upstream: str | None = "aa",
    line: dict[str, Any] | None = None,
) -> list[str]:
    digests = {} if upstream is None else {0: upstream}
    story = ProxyOutput({JOB.server_name: LINE | (line or {})}, {})
    return judge([JOB], {0: replace(OUTCOME, **(outcome or {}))}, digests, story).faults


def test_the_queue_carries_the_transfer_with_a_new_key_every_mib() -> None:
    result = over_queue.measure(8 << 20, 2)
    assert result.faults == []
    assert result.bytes_each_way == 8 << 20
    for one in result.connections:
        assert one.key_updates_sent == 4
        assert one.records_sent == (4 << 20) // 16384 + 4
    assert result.tls_stat["TlsTxDevice"] == result.tls_stat["TlsRxDevice"] == 4
    assert result.tls_stat["TlsDecryptError"] == 0


def test_a_wrong_echo_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    send = over_queue.RekeyingSocket.send
    monkeypatch.setattr(
        over_queue.RekeyingSocket, "send", lambda end, data: send(end, b"\0" + data[1:])
    )
    assert over_queue.measure(1 << 20, 1).faults == [
        "KtlsSocket: the data received is not the data sent"
    ]
