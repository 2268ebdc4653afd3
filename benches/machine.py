"""The machine and all versions: printed above the tables, and part of the JSON."""

from __future__ import annotations

import os
import platform
import re
import shutil
import ssl
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import ktls_fast
from benches.programs import PROGRAMS

PACKAGES = ("ktls_fast", "cryptography", "pyOpenSSL", "uvloop", "aiofastnet", "aiohttp", "numpy")
VERSION = re.compile(r"\d+(?:\.\d+)+\S*")


@cache
def facts() -> dict[str, str]:
    """Return everything that the numbers depend on, as text by name."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_cpu()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "cpu features": " ".join(ktls_fast.cpu_features()),
        "aead": ", ".join(f"{name} {by}" for name, by in _aeads().items()),
        "python": f"{platform.python_version()}, ssl with {ssl.OPENSSL_VERSION}",
        "packages": ", ".join(f"{name} {_package(name)}" for name in PACKAGES),
        "programs": ", ".join(f"{name} {_program(name)}" for name in PROGRAMS),
    }


def header(command: str) -> str:
    """Return the lines above the tables."""
    lines = {"command": command, **facts()}
    return "\n".join(f"{name:13} {value}" for name, value in lines.items())


def has_avx512() -> bool:
    """Return True if the CPU has AVX-512, as the machine that the targets were set on."""
    return "avx512f" in ktls_fast.cpu_features()


def _aeads() -> dict[str, str]:
    in_use = ktls_fast.aead_in_use()
    return {name: in_use[name] for name in ("AES_GCM_128", "AES_GCM_256", "CHACHA20_POLY1305")}


def _cpu() -> str:
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return model[1] if model else platform.processor() or platform.machine()


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _program(name: str) -> str:
    """Return the first version number that a program prints."""
    path = shutil.which(name, path=PROGRAMS[name].path)
    if path is None:
        return "missing"
    output = subprocess.run(
        (path, *PROGRAMS[name].version), capture_output=True, text=True, timeout=10
    )
    found = VERSION.search(output.stdout + output.stderr)
    return found[0] if found else "of unknown version"
