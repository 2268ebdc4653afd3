"""The external programs that the benches run: Debian packages, which have to be installed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Final

SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True)
class ExternalProgram:
    """An external program."""

    package: str
    version: tuple[str, ...]
    """The arguments that make it print its version."""
    path: str = SEARCH_PATH


PROGRAMS: Final = {
    "nginx": ExternalProgram("nginx-light", ("-v",)),
    "haproxy": ExternalProgram("haproxy", ("-v",)),
    "stunnel": ExternalProgram("stunnel4", ("-version",)),
    "wrk": ExternalProgram("wrk", ("-v",)),
}


def find(name: str) -> str | None:
    """Return the path of a program, or None if it is not installed."""
    return shutil.which(name, path=PROGRAMS[name].path)


def why_missing(*names: str) -> str:
    """Return the reason for the table, or an empty string if all programs are installed."""
    packages = [PROGRAMS[name].package for name in names if find(name) is None]
    return f"not installed (Debian: apt install {' '.join(packages)})" if packages else ""
