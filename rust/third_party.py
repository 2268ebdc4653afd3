"""Write ``THIRD-PARTY-NOTICES.txt``: the licences of the crates that the compiled module contains.

``python3 rust/third_party.py`` writes it; with ``--check`` it fails when the file is not current.
It goes into the wheel and the sdist as a licence file.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTICES = ROOT / "THIRD-PARTY-NOTICES.txt"
PLATFORMS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
PATTERNS = ["LICEN[CS]E*", "COPYING*", "COPYRIGHT*", "NOTICE*", "UNLICENSE*"]
LINE = "=" * 100


@dataclass(frozen=True, order=True)
class Crate:
    """A crate that is linked into the module."""

    name: str
    version: str
    licence: str
    source: str
    folder: Path

    def texts(self) -> Iterator[str]:
        """Return the licence files of the crate."""
        found = {path for pattern in PATTERNS for path in self.folder.glob(pattern)}
        for path in sorted(found):
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                yield "\n".join(line.rstrip() for line in lines).strip()


def linked_crates() -> list[Crate]:
    """Return the crates of ``ktls-py`` on any platform, without build and test dependencies."""
    return sorted({crate for platform in PLATFORMS for crate in _crates_of(platform)})


def _crates_of(platform: str) -> Iterator[Crate]:
    tree = ["tree", "-p", "ktls-py", "-e", "normal,no-proc-macro", "--target", platform]
    listed = _cargo(*tree, "--prefix", "none", "--format", "{p}").splitlines()
    linked = {tuple(line.split()[:2]) for line in listed if line}
    metadata = json.loads(_cargo("metadata", "--format-version=1", "--filter-platform", platform))
    for package in metadata["packages"]:
        if package["source"] and (package["name"], f"v{package['version']}") in linked:
            yield _crate(package)


def _cargo(command: str, *arguments: str) -> str:
    done = subprocess.run(
        ["cargo", command, "--locked", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode()


def _crate(package: dict[str, str]) -> Crate:
    return Crate(
        package["name"],
        package["version"],
        package["license"] or "see its licence file",
        package["repository"] or "https://crates.io/crates/" + package["name"],
        Path(package["manifest_path"]).parent,
    )


def notices() -> str:
    """Return the whole file: the crates, and each licence text once with its crates."""
    crates = linked_crates()
    users: dict[str, list[str]] = defaultdict(list)
    for crate in crates:
        for text in crate.texts():
            label = f"{crate.name} {crate.version}"
            if label not in users[text]:
                users[text].append(label)
    listed = "\n".join(f"{one.name} {one.version}: {one.licence} ({one.source})" for one in crates)
    head = (
        "The compiled module of ktls_fast contains the Rust standard library (MIT OR Apache-2.0,\n"
        "https://github.com/rust-lang/rust) and these crates. Their licence texts follow.\n"
        f"Written by rust/third_party.py.\n\n{listed}\n"
    )
    texts = (f"{LINE}\n{', '.join(names)}\n{LINE}\n\n{text}\n" for text, names in users.items())
    return "\n".join([head, *texts])


def main() -> int:
    """Write or check the file, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if not current")
    text = notices()
    if not parser.parse_args().check:
        NOTICES.write_text(text, encoding="utf-8")
    elif not NOTICES.is_file() or NOTICES.read_text(encoding="utf-8") != text:
        print(f"{NOTICES.name} is not current: run python3 rust/third_party.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
