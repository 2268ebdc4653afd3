"""The programs of others that the benches call: Debian packages, which nobody installs unasked."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Final

SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True)
class Program:
    """One of them."""

    package: str
    version: tuple[str, ...]
    """The arguments by which it tells its version."""
    path: str = SEARCH_PATH


PROGRAMS: Final = {
    "nginx": Program("nginx-light", ("-v",)),
    "haproxy": Program("haproxy", ("-v",)),
    "stunnel": Program("stunnel4", ("-version",)),
    "wrk": Program("wrk", ("-v",)),
}


def find(name: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(name, path=PROGRAMS[name].path)


def why_missing(*names: str) -> str:
    """A sentence for the table; empty when all are there."""
    packages = [PROGRAMS[name].package for name in names if find(name) is None]
    return f"not installed (Debian: apt install {' '.join(packages)})" if packages else ""
