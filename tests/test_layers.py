"""The check of layers: an import against the arrows and a stale list of rooms are found."""

from pathlib import Path

import pytest

from tests import layers

DOCUMENT = """
```layers
crates: ktls-low | ktls-high
ktls-low: ground shared | walls | roof
ktls_fast: errors | _core | __init__ | tools
```
<!-- rooms: begin -->
<!-- rooms: end -->
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a checkout with a crate and a package that keep to their layers."""
    files = {
        "ARCHITECTURE.md": DOCUMENT,
        "rust/ktls-low/Cargo.toml": "[dependencies]\n",
        "rust/ktls-high/Cargo.toml": "[dependencies]\nktls-low = '1'\n",
        "rust/ktls-low/src/lib.rs": (
            "mod ground;\nmod roof;\nmod shared;\npub mod walls;\npub use walls::Wall;\n"
        ),
        "rust/ktls-low/src/ground.rs": "//! The [`Ground`].\n//!\n//! More.\n",
        "rust/ktls-low/src/shared.rs": "//! What all share.\n",
        "rust/ktls-low/src/walls/mod.rs": "//! Walls.\nmod brick;\nuse crate::{ground::Ground};\n",
        "rust/ktls-low/src/walls/brick.rs": "use super::super::shared::Clay;\n",
        "rust/ktls-low/src/roof.rs": "//! The roof.\nuse crate::{Wall, ground::{A, B}};\n",
        "python/ktls_fast/__init__.py": '"""The package."""\nfrom ._core import Sealer\n',
        "python/ktls_fast/_core.pyi": '"""The compiled module."""\n',
        "python/ktls_fast/errors.py": '"""The errors."""\n',
        "python/ktls_fast/tools/__init__.py": '"""The tools."""\nfrom ktls_fast import Sealer\n',
        "python/ktls_fast/tools/cli.py": "from .. import errors\nfrom . import proxy\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _write_rooms(tmp_path)
    return tmp_path


def _write_rooms(tree: Path) -> None:
    document = tree / "ARCHITECTURE.md"
    document.write_text(layers.with_rooms(document.read_text(), tree))


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_this_checkout_has_no_layer_errors() -> None:
    assert list(layers.errors(layers.ROOT)) == []


def test_a_tree_that_respects_its_layers_has_no_errors(tree: Path) -> None:
    assert list(layers.errors(tree)) == []
    assert "| `ground` | The `Ground`. |" in (tree / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize(
    ("name", "line", "error"),
    [
        (
            "walls/brick.rs",
            "use crate::roof::Tile;",
            "brick.rs:2: walls must not import roof",
        ),
        (
            "walls/brick.rs",
            "use super::super::roof::Tile;",
            "brick.rs:2: walls must not import roof",
        ),
        ("walls/mod.rs", "use super::roof::Tile;", "walls/mod.rs:4: walls must not import roof"),
        ("ground.rs", "use crate::{\n    shared::Clay,\n};", "ground must not import shared"),
        ("shared.rs", "use crate::Wall;", "shared.rs:2: shared must not import walls"),
        ("ground.rs", "fn f() { crate::roof::g(); }", "ground.rs:4: ground must not import roof"),
        ("ground.rs", "use crate::{walls::{Wall}};", "ground.rs:4: ground must not import walls"),
    ],
)
def test_an_import_that_does_not_go_down_is_an_error(
    tree: Path, name: str, line: str, error: str
) -> None:
    _append(tree / "rust/ktls-low/src" / name, line + "\n")
    (found,) = layers.errors(tree)
    assert error in found


def test_names_in_comments_strings_and_tests_are_not_imports(tree: Path) -> None:
    tests = "#[cfg(test)]\nmod tests { use crate::roof::A; }\n"
    text = '// crate::roof::A\nconst A: &str = "crate::roof";\n' + tests
    _append(tree / "rust/ktls-low/src/ground.rs", text)
    assert list(layers.errors(tree)) == []


@pytest.mark.parametrize(
    ("name", "line", "error"),
    [
        ("errors.py", "from . import _core", "errors.py:2: errors must not import _core"),
        ("errors.py", "from ktls_fast._core import Sealer", "errors must not import _core"),
        ("errors.py", "from ktls_fast import Sealer", "errors must not import __init__"),
        (
            "errors.py",
            "def f():\n    from .tools import cli",
            "errors.py:3: errors must not import tools",
        ),
        ("errors.py", "import ktls_fast.tools.cli", "errors must not import tools"),
        ("__init__.py", "from . import tools", "__init__ must not import tools"),
    ],
)
def test_a_python_import_that_does_not_go_down_is_an_error(
    tree: Path, name: str, line: str, error: str
) -> None:
    _append(tree / "python/ktls_fast" / name, line + "\n")
    (found,) = layers.errors(tree)
    assert error in found


def test_a_dependency_on_a_higher_crate_is_an_error(tree: Path) -> None:
    _append(tree / "rust/ktls-low/Cargo.toml", "ktls-high = '1'\n")
    (found,) = layers.errors(tree)
    assert found.startswith("rust/ktls-low/Cargo.toml: ktls-low must not import ktls-high")


def test_a_room_that_only_one_side_knows_is_an_error(tree: Path) -> None:
    (tree / "rust/ktls-low/src/attic.rs").write_text("//! The attic.\n")
    _append(tree / "rust/ktls-low/src/lib.rs", "mod attic;\n")
    (found,) = layers.errors(tree)
    assert found == "ARCHITECTURE.md: the layers of ktls-low do not name the room attic"


def test_a_list_of_rooms_that_differs_from_the_modules_is_an_error(tree: Path) -> None:
    (tree / "rust/ktls-low/src/ground.rs").write_text("//! The floor.\n")
    (found,) = layers.errors(tree)
    assert "list of rooms" in found
    _write_rooms(tree)
    assert list(layers.errors(tree)) == []
