"""The rooms of the Rust crates and of the Python package: their imports and their summaries."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Import:
    """An import of another room of the same crate, and the place where it is written."""

    room: str
    place: str


@dataclass(frozen=True, slots=True)
class Room:
    """A top-level module: its imports, and the first paragraph of its documentation on one line."""

    imports: tuple[Import, ...]
    summary: str

    @classmethod
    def of_crate(cls, root: Path, manifest: Path) -> Self:
        """Read a crate, whose imports are the crates of the workspace that it depends on."""
        parsed = tomllib.loads(manifest.read_text())
        place = str(manifest.relative_to(root))
        used = [name for name in parsed.get("dependencies", {}) if name.startswith("ktls-")]
        return cls(tuple(Import(name, place) for name in used), "")


def rust_rooms(root: Path, source: Path) -> dict[str, Room]:
    """Return the rooms of the crate whose sources are in ``source``."""
    library = _code(source / "lib.rs")
    names = re.findall(r"^(?:pub(?:\(crate\))? )?mod (\w+);", library, re.M)
    reexports = dict(_reexports(library))
    rooms = {}
    for name in names:
        files = [path for path in _files(source, name) if not _is_test(path)]
        imports = [
            Import(room, f"{path.relative_to(root)}:{line}")
            for path in files
            for line, first in _paths(path, source)
            for room in [reexports.get(first, first)]
            if room in names and room != name
        ]
        rooms[name] = Room(tuple(imports), _module_summary(files[0]))
    return rooms


def python_rooms(root: Path, package: Path) -> dict[str, Room]:
    """Return the modules directly in ``package``; the room ``__init__`` is its own module."""
    files = _python_files(package)
    rooms = {}
    for name, paths in files.items():
        imports = [
            Import(room if room in files else "__init__", place)
            for path in paths
            for room, place in _python_imports(root, package, path)
        ]
        inside = tuple(used for used in imports if used.room != name)
        rooms[name] = Room(inside, _docstring_summary(paths[0]))
    return rooms


def _python_files(package: Path) -> dict[str, list[Path]]:
    """Return the files of each room, first the one with its documentation."""
    files = {}
    for path in sorted(package.iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            files[path.name] = [path / "__init__.py", *sorted(path.rglob("[!_]*.py"))]
        elif path.suffix in {".py", ".pyi"} and path.stem != "__main__":
            files.setdefault(path.stem, [path])
    return files


def _files(source: Path, name: str) -> list[Path]:
    """Return the files of a module, first the one with its documentation."""
    single, folder = source / f"{name}.rs", source / name
    head = single if single.exists() else folder / "mod.rs"
    return [head, *(path for path in sorted(folder.rglob("*.rs")) if path != head)]


def _is_test(path: Path) -> bool:
    return path.name == "tests.rs" or "tests" in path.parts


def _code(path: Path) -> str:
    """Return the source without comments, strings and tests; line numbers stay."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    return re.split(r"#\[cfg\(test\)\]\s*mod \w+", text)[0]


def _reexports(library: str) -> Iterator[tuple[str, str]]:
    """Yield the names that the root of a crate re-exports, each with its room."""
    for room, names in re.findall(r"pub(?:\(crate\))? use (\w+)::([^;]+);", library):
        for name in re.findall(r"\w+", names):
            yield name, room


def _paths(path: Path, source: Path) -> Iterator[tuple[int, str]]:
    """Yield the first segment after the root of each path in a file, with its line."""
    code = _code(path)
    module = path.relative_to(source).with_suffix("").parts
    depth = len(module) - (module[-1] == "mod")
    for found in re.finditer(r"\bcrate\s*::\s*|\bsuper\b(?:\s*::\s*super\b)*\s*::\s*", code):
        if found[0].startswith("crate") or found[0].count("super") == depth:
            line = code.count("\n", 0, found.start()) + 1
            for segment in _first_segments(code[found.end() :]):
                yield line, segment


def _first_segments(text: str) -> Iterator[str]:
    """Yield the first segment of a path, or of each path of a group in braces."""
    if not text.startswith("{"):
        yield from re.findall(r"\A\w+", text)
        return
    depth, begins = 0, True
    for token in re.findall(r"\w+|[^\w\s]", text):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth == 0:
            return
        if begins and token.isidentifier():
            yield token
        begins = depth == 1 and token in "{,"


def _module_summary(path: Path) -> str:
    lines = [line[3:].strip() for line in path.read_text().splitlines() if line.startswith("//!")]
    return _first_paragraph("\n".join(lines))


def _docstring_summary(path: Path) -> str:
    return _first_paragraph(ast.get_docstring(ast.parse(path.read_text())) or "")


def _first_paragraph(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    # Links to items mean nothing outside of rustdoc.
    return (
        re.sub(r"\[(`[^`]+`)\](?:\([^)]*\))?", r"\1", paragraph)
        .replace("``", "`")
        .replace("|", "\\|")
    )


def _python_imports(root: Path, package: Path, path: Path) -> Iterator[tuple[str, str]]:
    """Yield each name that a file imports from the package, and where; "" is the package."""
    module = path.relative_to(package.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        place = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
        for name in _imported(node, module):
            if name[0] == package.name:
                yield "".join(name[1:2]), place


def _imported(node: ast.AST, module: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the full names that a statement imports, split into their parts."""
    if isinstance(node, ast.Import):
        yield from (tuple(alias.name.split(".")) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = module[: len(module) - node.level] if node.level else ()
        base = (*base, *(node.module or "").split(".")) if node.module else base
        yield from ((*base, alias.name) for alias in node.names)
