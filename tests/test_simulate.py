"""Key updates under offload, as Python and the command line run them."""

import dataclasses
import errno
import json
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ktls_fast import KtlsError
from ktls_fast._tools.cli import main
from ktls_fast.simulate import Report, Scenario, run

LOSSY = Scenario(rekeys=5, messages=20, loss=0.05, reorder=0.05, seed=11, both_ways=True)


def outcomes(report: Report, direction: str) -> int:
    names = (f"Tls{direction}Rekey{outcome}" for outcome in ("Ok", "Fallback", "Aborted"))
    return sum(report.summary["counters"].get(name, 0) for name in names)


def test_equal_scenarios_return_equal_reports() -> None:
    assert run(LOSSY) == run(LOSSY)
    assert run(LOSSY) != run(dataclasses.replace(LOSSY, seed=12))


@pytest.mark.parametrize("policy", ["cover-letter", "v17"])
@pytest.mark.parametrize("resync", ["request", "hint", "async"])
def test_no_invariant_breaks_and_each_key_update_has_one_outcome(policy: str, resync: str) -> None:
    report = run(dataclasses.replace(LOSSY, policy=policy, resync=resync))
    assert report.violation is None
    for direction in ("tx", "rx"):
        updates = sum(host[f"{direction}_key_updates"] for host in report.summary["hosts"])
        assert updates == 10
        assert outcomes(report, direction.title()) == updates


def test_the_naive_policy_breaks_the_stream() -> None:
    broken = [run(Scenario(policy="naive", loss=0.05, seed=seed)).violation for seed in range(20)]
    assert sum(violation is not None for violation in broken) > 10
    assert any("Changed" in violation for violation in broken if violation)


def test_events_contain_what_sealed_each_segment_under_which_key() -> None:
    events = run(LOSSY).events
    assert [event.time for event in events] == sorted(event.time for event in events)
    segments = [event for event in events if event.kind == "segment"]
    assert {event.word for event in segments} == {"device", "software", "fallback"}
    assert {event.generation for event in segments} == set(range(6))
    assert any(event.retransmission for event in segments)
    phases = {event.word for event in events if event.kind == "tx_phase"}
    assert {"offloaded", "pending", "ready"} <= phases


def test_the_capture_has_the_packets_of_the_run() -> None:
    report = run(LOSSY)
    magic, *_, link_type = struct.unpack_from("<IHHiIII", report.pcap)
    assert (magic, link_type) == (0xA1B2C3D4, 1)
    at, packets = 24, 0
    while at < len(report.pcap):
        _, _, captured, original = struct.unpack_from("<IIII", report.pcap, at)
        assert captured == original
        at, packets = at + 16 + captured, packets + 1
    assert at == len(report.pcap)
    assert packets > report.summary["segments"]
    assert "CLIENT_TRAFFIC_SECRET_0" in report.keylog


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policy", "hasty"),
        ("resync", "never"),
        ("cipher_type", 54),
        ("loss", 1.5),
        ("lose", -0.1),
        ("mss", 0),
        ("tso", 0),
        ("window", 10),
        ("window", 2**64 - 1),
        ("message_len", 2**40),
        ("delay", 2**63),
        ("tso", 2**63),
        ("mss", 100_000),
        ("rekeys", -1),
        ("rekeys", 1.5),
        ("rekeys", None),
        ("loss", None),
        ("loss", float("nan")),
        ("both_ways", 1),
        ("fail_nth_add", 0),
        ("depth", 0),
        ("message_len", 0),
        ("send_gap", 0),
        ("read_lag", 0),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(KtlsError, match=name) as refused:
        dataclasses.replace(Scenario(), **{name: value})  # type: ignore[arg-type]
    assert refused.value.errno == errno.EINVAL
    assert str(value) in str(refused.value)


def test_an_endless_run_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--loss", "100%", "--rekeys", "1", "--messages", "3") == 3
    assert "ABORTED after" in capsys.readouterr().out


def test_a_run_is_interrupted_by_a_signal() -> None:
    code = "from ktls_fast.simulate import *; print(1, flush=True); run(Scenario(loss=1.0))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors


@pytest.mark.parametrize("option", ["--plot", "--pcap", "--trace"])
def test_a_missing_folder_is_named_before_the_run(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(option, "no/such/o.svg") == 1
    assert f"{option} no/such/o.svg: there is no directory no/such" in capsys.readouterr().err


def simulate(*arguments: str) -> int:
    return main(["simulate", *arguments])


def test_the_command_prints_numbers_and_writes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot, pcap, trace = (tmp_path / name for name in ("o.svg", "o.pcap", "o.txt"))
    files = ["--plot", str(plot), "--pcap", str(pcap), "--trace", str(trace)]
    assert simulate("--rekeys", "3", "--loss", "2%", "--seed", "7", *files) == 0
    printed = capsys.readouterr().out
    assert "key updates sent                               3" in printed
    assert "every byte on the wire was correct" in printed
    drawn = plot.read_text()
    for text in ("policy cover-letter, loss 2.0%, seed 7", "key 3", "sealed in software"):
        assert text in drawn
    report = run(Scenario(messages=30, rekeys=3, loss=0.02, seed=7))
    assert pcap.read_bytes() == report.pcap
    assert (tmp_path / "o.pcap.keylog").read_text() == report.keylog
    assert trace.read_text().splitlines() == report.trace


def test_a_broken_stream_is_reported_by_status_and_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert simulate("--policy", "naive", "--loss", "0.05") == 1
    assert "BROKEN: at" in capsys.readouterr().out


def test_json_has_scenario_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--json", "--policy", "v17", "--both-ways") == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert facts["violation"] is None
    assert facts["scenario"]["policy"] == "v17"
    assert [host["tx_key_updates"] for host in facts["hosts"]] == [4, 4]


@pytest.mark.parametrize("text", ["101%", "1.1", "x", "-1%", ""])
def test_a_probability_is_from_0_to_1(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        simulate(f"--loss={text}")
    assert "is not from 0% to 100%" in capsys.readouterr().err


def test_an_unknown_picture_format_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate("--plot", str(tmp_path / "o.foo")) == 1
    assert "not supported" in capsys.readouterr().err
