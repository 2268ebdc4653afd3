"""``ktls-fast doctor --against-kernel``: the engine against others, most of them made up."""

import json
import re
import signal
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from ktls_fast import KtlsSocket, Namespace
from ktls_fast._kernel_socket import KernelSocket
from ktls_fast._kernel_tls import kernel_tls
from ktls_fast._tools.cli import against_kernel, main
from ktls_fast._tools.conformance.compare import ScenarioComparison, compare
from ktls_fast._tools.conformance.known import KNOWN
from ktls_fast._tools.conformance.sides import ComparedSide, TlsEnd, engine
from ktls_fast._tools.conformance.steps import Step, scenarios
from ktls_fast._tools.conformance.time_limit import TimeLimitError, time_limit
from tests.rules import ROOT

HERE = kernel_tls()["ulp"]
SHORT = 0.2


class Wrong:
    """A KtlsSocket with a wrong result."""

    def __init__(self, sock: socket.socket, namespace: Namespace) -> None:
        self._sock = KtlsSocket(sock, namespace=namespace)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every method of the socket
        """Return the method of the correct socket."""
        return getattr(self._sock, name)


class Reversed(Wrong):
    """A socket whose plaintext is reversed."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self._sock.recv(size, flags)[::-1]


class Waiting(Wrong):
    """A socket that waits although it must not."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self._sock.recv(size, flags & ~socket.MSG_DONTWAIT)


def side_of(kind: type[Wrong]) -> Callable[[], ComparedSide]:
    """Return a side whose ends are of ``kind``, with correct counters."""

    def side() -> ComparedSide:
        namespace = Namespace()
        kernel_counters = namespace.tls_stat().keys()

        def take(sock: socket.socket) -> TlsEnd:
            return cast("TlsEnd", kind(sock, namespace))

        def counters() -> dict[str, int]:
            counted = namespace.tls_stat()
            return {name: counted[name] for name in kernel_counters}

        return ComparedSide("wrong", take, counters)

    return side


def without_ulp() -> ComparedSide:
    """Return the kernel of this host, which works as long as no ULP is attached."""
    return ComparedSide("kernel", KernelSocket.over, Namespace().tls_stat)


def scenario(name: str) -> Step:
    """Return the scenario with this name."""
    return next(each for each in scenarios() if each["name"] == name)


def test_the_engine_does_not_differ_from_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert against_kernel.run("ku.", as_json=False, theirs=engine) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all("not played" in line for line in lines[:-1])
    match = re.fullmatch(
        r"(\d+) scenarios: (\d+) alike, 0 differ, 0 differ as known, (\d+) not played", lines[-1]
    )
    assert match
    total, alike, not_played = map(int, match.groups())
    assert total == alike + not_played == sum(s["name"].startswith("ku.") for s in scenarios())
    assert not_played == len(lines) - 1


def test_a_difference_is_reported_with_its_call(capsys: pytest.CaptureFixture[str]) -> None:
    status = against_kernel.run("recv.basic12", as_json=False, theirs=side_of(Reversed))
    assert status == 1
    assert capsys.readouterr().out.splitlines() == [
        "recv.basic12: differs",
        '  call 8  recv on B, n 100, flags ["DONTWAIT"]',
        f"    engine  ret 5, data {b'world'.hex()}",
        f"    kernel  ret 5, data {b'dlrow'.hex()}",
        "1 scenario: 0 alike, 1 differ, 0 differ as known, 0 not played",
    ]
    assert scenario("recv.basic12")["steps"][7]["data"] == b"world".hex()


def test_a_difference_is_reported_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert against_kernel.run("recv.basic12", as_json=True, theirs=side_of(Reversed)) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["counts"] == {"alike": 0, "differ": 1, "differ as known": 0, "not played": 0}
    steps = scenario("recv.basic12")["steps"]
    for difference in printed["differences"]:
        assert difference["scenario"] == "recv.basic12"
        assert difference["known"] is None
        assert difference["call"] == steps[difference["number"] - 1]
        assert difference["engine"] != difference["kernel"]


def test_a_known_difference_is_not_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(KNOWN, "recv.basic12", "it is so")
    assert against_kernel.run("recv.basic12", as_json=False, theirs=side_of(Reversed)) == 0
    out = capsys.readouterr().out
    assert out.startswith("recv.basic12: differs, as known: it is so\n")
    assert out.endswith("1 scenario: 0 alike, 0 differ, 1 differ as known, 0 not played\n")


def test_a_call_that_does_not_return_is_a_difference() -> None:
    found = compare(scenario("recv.basic"), engine, side_of(Waiting), SHORT)
    (last,) = found.differences
    assert last.theirs == {"err": "no result within 0.2 s"}
    assert last.ours == {"err": "EAGAIN"}


@pytest.mark.parametrize("name", ["ulp.udp", "ulp.unix", "ulp.no_ulp"])
def test_scenarios_without_the_ulp_run_on_this_hosts_kernel(name: str) -> None:
    found = compare(scenario(name), engine, without_ulp, SHORT)
    assert found == ScenarioComparison(name)


@pytest.mark.skipif(HERE != "yes", reason=f"kernel TLS: {HERE}")
def test_this_hosts_kernel_gives_every_scenario_a_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--against-kernel", "--json"]) in (0, 1)
    printed = json.loads(capsys.readouterr().out)
    assert sum(printed["counts"].values()) == printed["scenarios"] == len(scenarios())


@pytest.fixture
def no_ulp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a host without kernel TLS."""
    answer = {"ulp": "no: the kernel has no module tls", "rekey": "no"}
    monkeypatch.setattr(against_kernel, "kernel_tls", lambda: answer)


@pytest.mark.usefixtures("no_ulp")
def test_a_host_without_kernel_tls_is_skipped_with_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reason = 'the kernel has no module tls; run "modprobe tls" as root, and try again'
    assert main(["doctor", "--against-kernel"]) == 77
    assert capsys.readouterr().out == f"skipped: {reason}\n"
    assert main(["doctor", "--against-kernel", "--json"]) == 77
    assert json.loads(capsys.readouterr().out) == {"skipped": reason}


def test_wrong_options_are_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--against-kernel", "--only", "nope"]) == 1
    sentence = "no scenario has 'nope' in its name; leave --only out to play all of them"
    assert capsys.readouterr().err == f"ktls-fast: {sentence}\n"
    with pytest.raises(SystemExit):
        main(["doctor", "--only", "ku."])
    assert "--only ku. requires --against-kernel;" in capsys.readouterr().err


def test_the_known_differences_are_those_of_the_document() -> None:
    document = (ROOT / "docs/kernel-differences.md").read_text()
    there = {each["name"] for each in scenarios()}
    assert set(KNOWN) == set(re.findall(r"`(.+?)`", document)) & there


def test_a_timeout_ends_a_call_and_leaves_other_timers_alone() -> None:
    handler, rest = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
    near, far = socket.socketpair()
    with near, far, pytest.raises(TimeLimitError), time_limit(0.01):
        near.recv(1)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (rest > 0)
