"""The C interface: a Cython module and a C program, built here against the installed package."""

import errno
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import ktls_fast
from ktls_fast import Opener, Sealer
from tests.forked import ForkedCall, library_fork, system_call_fork, unannounced
from tests.ktls_ends import KEY_UPDATE, generation
from tests.reference import HANDSHAKE, TrafficKey, pattern

SOURCES = Path(__file__).with_name("capi")
PACKAGE = Path(ktls_fast.__file__).parents[1]
INFO, NEXT = generation(0).struct(), generation(1).struct()
EBADMSG, EMSGSIZE = -errno.EBADMSG, -errno.EMSGSIZE
STOP_KEY_UPDATE, STOP_FULL = 1, 2


@pytest.fixture(scope="module")
def records(
    tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]
) -> ModuleType:
    """Compile and import the module ``records.pyx``."""
    folder = tmp_path_factory.mktemp("cython")
    source = folder / "records.c"
    cython = [sys.executable, "-m", "cython", "-3", "-I", str(PACKAGE), "-o", str(source)]
    run([*cython, str(SOURCES / "records.pyx")])
    target = folder / f"records{sysconfig.get_config_var('EXT_SUFFIX')}"
    compiler = [require_tool("cc"), "-shared", "-fPIC", "-O2", *includes()]
    run([*compiler, str(source), "-o", str(target)])
    spec = importlib.util.spec_from_file_location("records", target)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def includes() -> list[str]:
    return ["-I", sysconfig.get_path("include"), "-I", ktls_fast.get_include()]


def run(command: list[str], **environment: str) -> bytes:
    done = subprocess.run(
        command, capture_output=True, timeout=100, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_ten_thousand_records_are_sealed_without_the_gil(
    records: ModuleType, key: TrafficKey
) -> None:
    data = pattern(10_000 * 64)
    info = key.struct()
    wire = records.seal(info, data, 64)
    assert wire == bytes(Sealer(info).seal_batch(data, record_size=64).wire)
    plaintext, found, end, _ = records.open(info, wire, len(wire), 10_000)
    assert plaintext == data
    assert found == [(23, 64 * i, 64) for i in range(10_000)]
    assert end == (len(wire), 0)


def test_a_rekey_in_between_changes_the_key(records: ModuleType) -> None:
    data = pattern(128 * 100)
    wire = records.seal(INFO, data, 100, NEXT, 64)
    first, second = Sealer(INFO), Sealer(NEXT)
    assert wire == b"".join(
        bytes(sealer.seal_batch(part, record_size=100).wire)
        for sealer, part in ((first, data[:6400]), (second, data[6400:]))
    )


def test_errors_have_an_errno_and_a_message(records: ModuleType) -> None:
    cases: list[tuple[Callable[[], object], int, str]] = [
        (lambda: records.seal(b"abc", b"x", 1), 0, "3 bytes"),
        (lambda: records.seal(INFO, bytes(20_000), 20_000), EMSGSIZE, "20000 bytes"),
        (lambda: records.open(b"", b"", 0, 1), 0, "0 bytes"),
        (lambda: records.open(INFO, bytes(5) + b"x" * 30, 100, 1), EBADMSG, "header"),
    ]
    for call, code, sentence in cases:
        with pytest.raises(records.Refused, match=sentence) as refused:
            call()
        assert refused.value.args[1] == code


def test_a_bad_record_after_good_ones_ends_the_batch(records: ModuleType) -> None:
    wire = bytearray(records.seal(INFO, b"x" * 30, 10))
    wire[-1] ^= 1
    plaintext, found, (consumed, stop), _ = records.open(INFO, bytes(wire), 100, 10)
    assert (plaintext, len(found), stop) == (b"x" * 20, 2, EBADMSG)
    assert consumed == len(wire) // 3 * 2
    with pytest.raises(records.Refused, match="authenticate"):
        records.open(INFO, bytes(wire[:31]) + b"x", 100, 10)


def test_key_updates_pause_the_opener_and_are_found(records: ModuleType) -> None:
    sealer = Sealer(INFO)
    wire = sealer.seal(b"data") + sealer.seal(KEY_UPDATE, HANDSHAKE) + sealer.seal(b"behind")
    plaintext, found, end, updates = records.open(INFO, wire, 100, 10)
    assert (plaintext, len(found)) == (b"data" + KEY_UPDATE, 2)
    assert end == (len(wire) - 28, STOP_KEY_UPDATE)
    assert updates == [(1, 0, 0)]


@pytest.mark.parametrize(("room", "most"), [(100, 2), (25, 10)])
def test_a_batch_ends_when_the_output_is_full(records: ModuleType, room: int, most: int) -> None:
    wire = records.seal(INFO, b"x" * 30, 10)
    plaintext, found, end, _ = records.open(INFO, wire, room, most)
    assert (plaintext, len(found)) == (b"x" * 20, 2)
    assert end == (len(wire) // 3 * 2, STOP_FULL)


def test_a_sealer_of_c_works_in_one_of_two_processes_only(records: ModuleType) -> None:
    held = records.Held(INFO)
    child = ForkedCall(lambda: held.seal(b"x"))
    assert child.answer() == repr(Sealer(INFO).seal(b"x"))
    with pytest.raises(records.Refused, match=f"process {child.pid}") as refused:
        held.seal(b"x")
    assert refused.value.args[1] == -errno.EBUSY


def test_a_sealer_of_c_stays_with_the_parent_of_a_c_librarys_fork(records: ModuleType) -> None:
    held = records.Held(INFO)

    def seal() -> int:
        with pytest.raises(records.Refused, match="forked without the hooks") as refused:
            held.seal(b"x")
        return int(refused.value.args[1])

    for make_child in (library_fork, system_call_fork):
        assert unannounced(make_child, seal) == str(-errno.EBUSY)
    assert held.seal(b"x") == Sealer(INFO).seal(b"x")


def test_a_key_that_c_has_used_is_refused(records: ModuleType) -> None:
    held = records.Held(INFO)
    held.seal(b"x")
    held.rekey(NEXT)
    fresh = Sealer(NEXT)
    assert held.seal(b"x") == fresh.seal(b"x")
    calls: list[Callable[[], object]] = [
        lambda: held.rekey(NEXT),
        lambda: held.rekey(INFO),
        lambda: records.rekey_opener(INFO, INFO),
        lambda: records.rekey_opener(INFO, NEXT, INFO),
    ]
    for call in calls:
        with pytest.raises(records.Refused, match="this key is in use here or was") as refused:
            call()
        assert refused.value.args[1] == -errno.EINVAL
    assert held.seal(b"y") == fresh.seal(b"y")


def test_content_type_0_is_refused_for_c(records: ModuleType) -> None:
    held = records.Held(INFO)
    with pytest.raises(records.Refused, match="content type 0 is padding") as refused:
        held.seal(b"x", 0)
    assert refused.value.args[1] == -errno.EINVAL
    assert held.seal(b"x", 255) == Sealer(INFO).seal(b"x", 255)


@pytest.mark.parametrize("most", [0, 1, 3, 15, 16, 17, 39])
def test_a_batch_fills_no_more_record_entries_than_the_caller_has(
    records: ModuleType, most: int
) -> None:
    wire = records.seal(INFO, b"x" * 400, 10)
    plaintext, found, end, _ = records.open(INFO, wire, 1000, most)
    assert (plaintext, len(found)) == (b"x" * 10 * most, most)
    assert end == (len(wire) // 40 * most, STOP_FULL)
    _, found, end, _ = records.open(INFO, wire[: len(wire) // 40 * most], 1000, most)
    assert (len(found), end[1]) == (most, 0)


def test_a_c_program_needs_only_the_header(
    tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    library = sysconfig.get_config_var("LDLIBRARY") or ""
    folder = Path(sysconfig.get_config_var("LIBDIR") or "")
    if not (folder / library).is_file():
        pytest.skip(f"this Python has no {library} to link a program with")
    program = tmp_path / "program"
    link = shlex.split(sysconfig.get_config_var("LIBS") or "")
    compiler = [require_tool("cc"), "-Wall", "-Werror", *includes(), str(SOURCES / "program.c")]
    path = [f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{sysconfig.get_python_version()}"]
    run([*compiler, "-o", str(program), "-rdynamic", *path, *link, "-lm"])
    wire = run([str(program), INFO.hex(), "1000", "1400"], PYTHONPATH=os.pathsep.join(sys.path))
    data = b"".join(bytes([i & 255]) * 1400 for i in range(1000))
    assert bytes(Opener(INFO).open_batch(wire).data) == data
