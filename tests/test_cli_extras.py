"""Commands without the optional packages: they name what to install, or work without it."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ktls_fast._tools.failure import OPTIONAL, CommandError, missing_package
from tests.peers.pki import pki

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROXY = ("proxy", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:9")

BARE = f"""
import sys
sys.modules |= dict.fromkeys({OPTIONAL!r})  # as if they were not installed
from ktls_fast._tools.cli import main
sys.exit(main())
"""

NEEDS = {
    ("demo", "--size", "1MiB"): "demo needs rich: pip install 'ktls_fast[demo]'",
    ("demo", "--device", "queue"): "demo needs rich: pip install 'ktls_fast[demo]'",
    ("simulate",): "simulate needs rich: pip install 'ktls_fast[cli]'",
    (
        "simulate",
        "--json",
        "--plot",
        "x.svg",
    ): "--plot needs matplotlib: pip install 'ktls_fast[plot]'",
    PROXY: "a proxy without --cert and --key needs cryptography: pip install 'ktls_fast[proxy]'",
    (*PROXY, "--workers", "2"): (
        "a proxy without --cert and --key needs cryptography: pip install 'ktls_fast[proxy]'"
    ),
}
NEEDS_NONE = [
    ("--version",),
    ("--help",),
    ("stat", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("simulate", "--json", "--rekeys", "2"),
    ("proxy", "--help"),
]


def bare(arguments: tuple[str, ...], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command without anything that an extra brings."""
    command = (sys.executable, "-c", BARE, *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments", NEEDS, ids=" ".join)
def test_a_command_names_the_extra_that_it_lacks(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    ended = bare(arguments, tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"ktls-fast: {NEEDS[arguments]}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", NEEDS_NONE, ids=" ".join)
def test_a_command_needs_no_extra_that_it_does_not_use(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    ended = bare(arguments, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


def test_a_comparison_with_the_kernel_needs_no_extra_without_a_terminal(tmp_path: Path) -> None:
    ended = bare(("doctor", "--against-kernel", "--only", "ku.rekey"), tmp_path)
    assert ended.returncode in (0, 1, 77)
    assert ended.stderr == ""


def test_a_proxy_with_a_certificate_needs_no_extra(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(pki().server.cert)
    (tmp_path / "key.pem").write_bytes(pki().server.key)
    command = (sys.executable, "-c", BARE, *PROXY, "--cert", "cert.pem", "--key", "key.pem")
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as proxy:
        assert proxy.stderr
        assert "listening on 127.0.0.1:" in proxy.stderr.readline()
        proxy.send_signal(signal.SIGTERM)
        assert proxy.wait(30) == 0


@pytest.mark.parametrize("name", ["numpy", "ktls_fast._tools.nothing", "richer", None])
def test_another_import_error_is_not_hidden(name: str | None) -> None:
    error = ImportError("it is broken", name=name)
    with pytest.raises(ImportError) as caught:
        missing_package(error, "demo", "demo")
    assert caught.value is error


@pytest.mark.parametrize("name", ["rich", "rich.console", "cryptography.x509"])
def test_a_module_of_an_extra_is_named_by_its_package(name: str) -> None:
    failure = missing_package(ImportError(name=name), "it", "all")
    assert isinstance(failure, CommandError)
    assert str(failure) == f"it needs {name.partition('.')[0]}: pip install 'ktls_fast[all]'"


def test_the_extras_list_the_optional_packages() -> None:
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    brought = extras["cli"] + extras["proxy"] + extras["plot"]
    assert {each.partition(">")[0] for each in brought} == set(OPTIONAL)
    assert extras["all"] == ["ktls_fast[cli,plot,proxy]"]
    assert [each.partition(">")[0] for each in PROJECT["dependencies"]] == ["numpy"]
