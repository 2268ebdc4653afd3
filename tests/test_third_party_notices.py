"""The licences of the compiled crates are distributed with the compiled module."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTICES = ROOT / "THIRD-PARTY-NOTICES.txt"


def listed(head: str) -> list[str]:
    """Return the crates and their versions."""
    return re.findall(r"^(\S+ \d[^:\n]*): ", head, re.MULTILINE)


def test_the_notices_cover_the_linked_crates() -> None:
    if shutil.which("cargo") is None:
        pytest.skip("cargo, which knows the crates, is not here")
    command = [sys.executable, str(ROOT / "rust" / "third_party.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=100, text=True)
    assert done.returncode == 0, done.stderr


def test_every_crate_of_the_notices_has_a_text() -> None:
    head, *texts = NOTICES.read_text(encoding="utf-8").split("=" * 100)
    crates = listed(head)
    assert len(crates) > 40
    users = {name.strip() for names in texts[::2] for name in names.split(",")}
    assert set(crates) == users
    assert all(text.strip() for text in texts[1::2])


def test_the_notices_name_the_versions_of_the_lock_file() -> None:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    locked = {f"{package['name']} {package['version']}" for package in lock["package"]}
    head = NOTICES.read_text(encoding="utf-8").split("=" * 100)[0]
    assert set(listed(head)) <= locked


def test_an_installed_package_has_them() -> None:
    installed = metadata.distribution("ktls_fast").files or []
    names = {file.name for file in installed if "licenses" in file.parts}
    assert names == {"LICENSE-APACHE", "LICENSE-MIT", NOTICES.name}
