"""Modules under the names that they had when none was private; all of this goes with 0.3.

Both names are one module, so that no class exists twice. For this the finder stands first: a
package that has moved still finds its own modules, and would load them again under the old name.
"""

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

__all__ = ["install"]

PACKAGE: Final = f"{__package__}."

MOVED: Final = {
    "backends": "_backends",
    "certs": "_tools.certs",
    "cli": "_tools.cli",
    "cli.__main__": "__main__",
    "conformance": "_tools.conformance",
    "demo": "_tools.demo",
    "kernel_sendfile": "_kernel_sendfile",
    "kernel_socket": "_kernel_socket",
    "kernel_tls": "_kernel_tls",
    "kernel_wait_all": "_kernel_wait_all",
    "proxy": "_tools.proxy",
    "proxy.failure": "_tools.failure",
    "proxy.files": "_tools.files",
    "proxy.parent": "_tools.parent",
    "proxy.report": "_tools.proxy.journal",
    "proxy.session": "_tools.proxy.roles",
    "proxy.stats": "_tools.proxy.journal",
    "proxy.writer": "_tools.proxy.journal",
    "quoted": "_messages",
    "simulate.plot": "_tools.simulate.plot",
    "simulate.report": "_tools.simulate.report",
    "simulate.scenario": "_tools.simulate.scenario",
    "simulate.show": "_tools.simulate.show",
    "sock_diag": "_sock_diag",
    "worker_exit": "_worker_exit",
}


def install() -> None:
    """Let the old names be imported, with a ``DeprecationWarning``."""
    if _FINDER not in sys.meta_path:  # the package may be loaded again
        sys.meta_path.insert(0, _FINDER)


class _OldNames:
    """Finds a module that has moved."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> "ModuleSpec | None":
        """Find what the module is now; None for a module that never was."""
        new = _new_name(name)
        if new is None:
            return None
        import importlib.util  # which costs more than all of this, and few ask for it

        found = importlib.util.find_spec(new)
        if found is None:
            return None
        msg = f"{name} is not part of the API, and its name goes with ktls_fast 0.3"
        warnings.warn(msg, DeprecationWarning, stacklevel=2)
        is_package = found.submodule_search_locations is not None
        loader: Any = _Alias(found)
        return importlib.util.spec_from_loader(name, loader, is_package=is_package)


class _Alias:
    """Loads a module by importing it under its new name."""

    def __init__(self, found: "ModuleSpec") -> None:
        self._found = found

    def create_module(self, _spec: "ModuleSpec") -> "ModuleType":
        return importlib.import_module(self._found.name)

    def exec_module(self, module: "ModuleType") -> None:
        """Take back the spec that the import system has given it: it has run long ago."""
        module.__spec__ = self._found

    def get_code(self, _name: str) -> "CodeType | None":
        """For ``python -m``."""
        loader: Any = self._found.loader
        code: CodeType | None = loader.get_code(self._found.name)
        return code


def _new_name(name: str) -> str | None:
    """The name of a module now, or of one in a package that has moved; None for all others."""
    if not name.startswith(PACKAGE):
        return None
    old, rest = name.removeprefix(PACKAGE), ""
    while old:
        if old in MOVED:
            return PACKAGE + MOVED[old] + rest
        old, dot, last = old.rpartition(".")
        rest = dot + last + rest
    return None


_FINDER: Final = _OldNames()
