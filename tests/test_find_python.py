"""``tests/find_python`` finds the interpreters that ``make test-pythons`` tests with."""

import os
import subprocess
from pathlib import Path

import pytest

FIND_PYTHON = Path(__file__).with_name("find_python")
ANSWERS = "echo cpython 3.99"
SHIM = "echo 'pyenv: python3.99: command not found' >&2; exit 127"


def program(path: Path, script: str) -> Path:
    """Write a program that runs ``script``, whatever its arguments are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def find(folder: Path, version: str = "3.99") -> str | None:
    """Return what the script prints, or None if it fails; only ``folder`` is searched."""
    environment = {
        "PATH": f"{folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "PYENV_ROOT": str(folder / "pyenv"),
    }
    done = subprocess.run(
        [FIND_PYTHON, version],
        env=environment,
        check=False,
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert not done.stderr
    return done.stdout.strip() if done.returncode == 0 else None


@pytest.mark.parametrize("name", ["python3.99", "python3"])
def test_a_python_of_the_path_is_found(name: str, tmp_path: Path) -> None:
    assert find(tmp_path) is None
    made = program(tmp_path / "bin" / name, ANSWERS)
    assert find(tmp_path) == str(made)


def test_a_shim_that_only_prints_an_error_is_skipped(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3.99", SHIM)
    assert find(tmp_path) is None


def test_a_version_of_pyenv_is_found_through_its_shim(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3.99", SHIM)
    made = program(tmp_path / "pyenv" / "versions" / "3.99.4" / "bin" / "python3", ANSWERS)
    assert find(tmp_path) == str(made)


@pytest.mark.parametrize(
    "script",
    ["echo cpython 3.9", "echo cpython 3.98", "echo pypy 3.99", "exit 1", "exit 0"],
)
def test_a_program_of_another_version_is_skipped(script: str, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3.99", script)
    assert find(tmp_path) is None


def test_a_python_without_venv_is_skipped(tmp_path: Path) -> None:
    """Debian has such a package; the check of the program imports the module."""
    program(tmp_path / "bin" / "python3.99", 'case "$2" in *ensurepip*) exit 1;; esac; ' + ANSWERS)
    assert find(tmp_path) is None
