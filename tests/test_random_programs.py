"""``doctor --against-kernel --random``: the engine against itself and against wrong ones."""

import errno
import json
import select
import socket
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from ktls_fast import KeyExpiredError
from ktls_fast._tools.cli import against_kernel, against_kernel_random, main
from ktls_fast._tools.conformance.compare import compare
from ktls_fast._tools.conformance.random_program import random_scenario
from ktls_fast._tools.conformance.shrink import MAX_TRIES, shrink
from ktls_fast._tools.conformance.sides import ComparedSide, engine
from ktls_fast._tools.conformance.steps import Step
from tests.test_against_kernel import Reversed, Wrong, side_of

Make = Callable[[], ComparedSide]
PROGRAMS = 60


class Confused(Wrong):
    """One error has the number of another."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            return self._sock.recv(size, flags)
        except KeyExpiredError:
            raise BlockingIOError(errno.EAGAIN, "nothing yet") from None


class Sealing(Wrong):
    """It seals what should stay open."""

    def send(self, data: bytes, flags: int = 0) -> int:
        return self._sock.send(data, flags & ~socket.MSG_MORE)


class Silent(Wrong):
    """A socket that reports no error."""

    def poll(self, events: int, timeout: float) -> int:
        return self._sock.poll(events, timeout) & ~select.POLLERR


class Forgiving(Wrong):
    """It takes control messages that are wrong."""

    def sendmsg(self, buffers: list[bytes], control: Any, flags: int = 0) -> int:  # noqa: ANN401
        try:
            return self._sock.sendmsg(buffers, control, flags)
        except OSError:
            return 0


def one_count_more() -> ComparedSide:
    """Return a side with wrong counters."""
    right = side_of(Wrong)()
    calls = iter(range(1000))

    def counters() -> dict[str, int]:
        return {**right.counters(), "TlsDecryptError": next(calls)}

    return ComparedSide("wrong", right.take, counters)


@pytest.mark.parametrize("same", [engine, side_of(Wrong)])
def test_the_engine_does_not_differ_from_itself(
    same: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert against_kernel_random.run(PROGRAMS, 1, as_json=False, theirs=same) == 0
    assert capsys.readouterr().out == f"{PROGRAMS} programs of seed 1: 0 differ\n"


@pytest.mark.parametrize(
    ("wrong", "ops"),
    [
        (side_of(Reversed), {"recv"}),
        (side_of(Confused), {"recv"}),
        (side_of(Sealing), {"send"}),
        (side_of(Silent), {"poll"}),
        (side_of(Forgiving), {"sendmsg"}),
        (one_count_more, {"tls_stat"}),
    ],
)
def test_a_wrong_backend_is_found_and_reported_as_a_scenario(
    wrong: Make,
    ops: set[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(against_kernel_random, "MAX_FOUND", 1)
    assert against_kernel_random.run(PROGRAMS, 3, as_json=True, theirs=wrong) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["seed"] == 3
    assert printed["programs"] <= PROGRAMS
    (found,) = printed["differences"]
    steps = found["scenario"]["steps"]
    assert sum(not step.get("setup") for step in steps) <= 8
    assert found["number"] == len(steps)
    assert steps[-1]["op"] in ops
    assert found["engine"] != found["kernel"]
    assert found["kernel"].items() <= steps[-1].items()
    assert compare(found["scenario"], engine, wrong).differences
    assert not compare(found["scenario"], engine, engine).differences


def test_a_difference_is_reported_with_its_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against_kernel_random, "MAX_FOUND", 1)
    assert against_kernel_random.run(PROGRAMS, 3, as_json=False, theirs=side_of(Reversed)) == 1
    *printed, scenario, summary = capsys.readouterr().out.splitlines()
    assert printed[0].endswith(": differs")
    assert any(line.startswith("    engine  ") for line in printed)
    assert json.loads(scenario.removeprefix("  scenario  "))["name"].startswith("random.3.")
    assert summary.endswith(" programs of seed 3: 1 differ")


def test_a_program_depends_on_seed_and_number_alone() -> None:
    programs = [random_scenario(seed, number) for seed in (1, 2) for number in range(20)]
    assert programs == [random_scenario(seed, number) for seed in (1, 2) for number in range(20)]
    assert len({json.dumps(program) for program in programs}) == len(programs)
    assert json.loads(json.dumps(programs)) == programs


def test_programs_make_calls_of_every_kind() -> None:
    steps = [step for number in range(200) for step in random_scenario(5, number)["steps"]]
    made = {step["op"] for step in steps}
    assert made == {
        *("setsockopt", "getsockopt", "send", "sendmsg", "rawsend", "recv", "recvmsg", "poll"),
        *("SO_ERROR", "shutdown", "close_with_rst", "wire", "splice_to_pipe", "settle"),
        "tls_stat",
    }


@pytest.mark.parametrize("needed", [{0}, {3, 17}, {39}, set(range(10, 20)), {0, 1, 38, 39}])
def test_shrinking_keeps_the_setup_and_what_is_needed(needed: set[int]) -> None:
    begin = [{"op": "setsockopt", "setup": True, "n": -1}]
    scenario: Step = {"name": "x", "steps": [*begin, *({"n": number} for number in range(40))]}

    def differs(smaller: Step) -> bool:
        return needed <= {step["n"] for step in smaller["steps"]}

    small = shrink(scenario, differs)["steps"]
    assert small == [*begin, *({"n": number} for number in sorted(needed))]


def test_shrinking_is_bounded() -> None:
    random, tries = Random(1), 0

    def differs(_: Step) -> bool:
        nonlocal tries
        tries += 1
        return random.random() < 0.01

    shrink({"name": "x", "steps": [{"n": number} for number in range(1000)]}, differs)
    assert tries <= MAX_TRIES


@pytest.fixture
def no_ulp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a host without kernel TLS."""
    answer = {"ulp": "no: the kernel has no module tls", "rekey": "no"}
    monkeypatch.setattr(against_kernel, "kernel_tls", lambda: answer)


@pytest.mark.usefixtures("no_ulp")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_host_without_kernel_tls_has_its_own_exit_status(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--against-kernel", "--random", "3", *options]) == 77
    out = capsys.readouterr().out
    reason = 'the kernel has no module tls; run "modprobe tls" as root, and try again'
    assert (json.loads(out) == {"skipped": reason}) if options else (out == f"skipped: {reason}\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--random", "3"], "--random 3 requires --against-kernel"),
        (["--against-kernel", "--seed", "3"], "--seed 3 requires --random"),
        (["--against-kernel", "--random", "3", "--only", "ku."], "cannot be used with --random"),
        (["--against-kernel", "--random", "0"], "'0' is not from 1 to 1000000"),
        (["--against-kernel", "--random", "x"], "'x' is not a whole number"),
        (["--against-kernel", "--random", "3", "--seed", "1.5"], "'1.5' is not a whole number"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", *options])
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_help_documents_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    assert "and 77 if the kernel has no TLS" in " ".join(capsys.readouterr().out.split())
