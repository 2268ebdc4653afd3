"""Checks that modules only import along the arrows of ``ARCHITECTURE.md``, and its list of rooms.

``python -m tests.layers`` checks. ``python -m tests.layers --write`` generates the list of rooms
from the documentation of the modules.

A *room* is a top-level module of a crate or of the Python package. The block ``layers`` in
``ARCHITECTURE.md`` has a line for each crate with its rooms, from the lowest layer to the highest.
``|`` separates two layers. A room may only import rooms of lower layers.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.rooms import Room, python_rooms, rust_rooms

ROOT = Path(__file__).parent.parent
CRATES = "crates"
PACKAGE = "ktls_fast"
BEGIN, END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->\n"


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of one crate: the number of each room's layer, 0 is the lowest."""

    crate: str
    numbers: dict[str, int]

    @classmethod
    def parse(cls, line: str) -> Self:
        """Parse one line of the block."""
        crate, _, text = line.partition(":")
        layers = [layer.split() for layer in text.split("|")]
        numbers = {room: number for number, layer in enumerate(layers) for room in layer}
        return cls(crate.strip(), numbers)

    def errors(self, rooms: dict[str, Room]) -> Iterator[str]:
        """Yield one sentence for each import that does not go down and each unknown room."""
        for name in sorted(rooms.keys() - self.numbers.keys()):
            yield f"ARCHITECTURE.md: the layers of {self.crate} do not name the room {name}"
        for name in sorted(self.numbers.keys() - rooms.keys()):
            yield f"ARCHITECTURE.md: {self.crate} has no room {name}"
        for name in sorted(rooms.keys() & self.numbers.keys()):
            for used in rooms[name].imports:
                if self.numbers.get(used.room, -1) >= self.numbers[name]:
                    yield f"{used.place}: {name} must not import {used.room}, which is not below it"


def declared(document: str) -> list[Layers]:
    """Return the layers that the document declares."""
    block = re.search(r"^```layers\n(.*?)^```", document, re.M | re.S)
    if block is None:
        msg = "ARCHITECTURE.md has no block ```layers"
        raise ValueError(msg)
    return [Layers.parse(line) for line in block[1].splitlines() if line.strip()]


def rooms_of(crate: str, root: Path) -> dict[str, Room]:
    """Return the rooms of a crate or of the Python package, or the crates themselves as rooms."""
    if crate == PACKAGE:
        return python_rooms(root, root / "python" / crate)
    if crate == CRATES:
        return crate_rooms(root)
    return rust_rooms(root, root / "rust" / crate / "src")


def crate_rooms(root: Path) -> dict[str, Room]:
    """Return the crates of the workspace, with those that their manifests depend on."""
    rooms = {}
    for manifest in sorted((root / "rust").glob("ktls-*/Cargo.toml")):
        rooms[manifest.parent.name] = Room.of_crate(root, manifest)
    return rooms


def errors(root: Path) -> Iterator[str]:
    """Yield one sentence for each difference from ``ARCHITECTURE.md``."""
    document = (root / "ARCHITECTURE.md").read_text()
    for layers in declared(document):
        yield from layers.errors(rooms_of(layers.crate, root))
    if with_rooms(document, root) != document:
        yield "ARCHITECTURE.md: the list of rooms is stale: run python -m tests.layers --write"


def with_rooms(document: str, root: Path) -> str:
    """Return the document with a list of rooms that is generated from the modules."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        msg = f"ARCHITECTURE.md has no lines {BEGIN.strip()} and {END.strip()}"
        raise ValueError(msg)
    return head + begin + "".join(tables(document, root)) + end + tail


def tables(document: str, root: Path) -> Iterator[str]:
    """Yield a table for each crate, in the order of its layers."""
    for layers in declared(document):
        if layers.crate == CRATES:
            continue
        rooms = rooms_of(layers.crate, root)
        yield f"\n| `{layers.crate}` | what is in it |\n|---|---|\n"
        for name in layers.numbers:
            if name in rooms:
                yield f"| `{name}` | {rooms[name].summary} |\n"


def main(arguments: list[str]) -> int:
    """Print the errors; returns 1 if there is one."""
    document = ROOT / "ARCHITECTURE.md"
    if "--write" in arguments:
        document.write_text(with_rooms(document.read_text(), ROOT))
    found = list(errors(ROOT))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
