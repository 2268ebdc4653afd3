"""Imports of modules by their former, public names; to be removed in 0.3.

The old and the new name refer to the same module object, so that no class exists twice. The finder
has to be first in ``sys.meta_path``: otherwise the default finder would search the ``__path__`` of
a package that has moved and load its modules a second time under the old name.
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
    """Make the old names importable, with a ``DeprecationWarning``."""
    if _FINDER not in sys.meta_path:  # the package may be reloaded
        sys.meta_path.insert(0, _FINDER)


class _MovedModuleFinder:
    """A meta path finder for modules that have moved."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> "ModuleSpec | None":
        """Return a spec that loads the module by its new name, or None for any other name."""
        new = _new_name(name)
        if new is None:
            return None
        import importlib.util  # slow to import, and rarely needed

        found = importlib.util.find_spec(new)
        if found is None:
            return None
        msg = f"{name} is not part of the API; the name will be removed in ktls_fast 0.3"
        warnings.warn(msg, DeprecationWarning, stacklevel=2)
        is_package = found.submodule_search_locations is not None
        loader: Any = _MovedModuleLoader(found)
        return importlib.util.spec_from_loader(name, loader, is_package=is_package)


class _MovedModuleLoader:
    """A loader that imports a module by its new name."""

    def __init__(self, found: "ModuleSpec") -> None:
        self._found = found

    def create_module(self, _spec: "ModuleSpec") -> "ModuleType":
        return importlib.import_module(self._found.name)

    def exec_module(self, module: "ModuleType") -> None:
        """Restore the module's own spec, which the import system has replaced; run nothing."""
        module.__spec__ = self._found

    def get_code(self, _name: str) -> "CodeType | None":
        """Return the code of the module, for ``python -m``."""
        loader: Any = self._found.loader
        code: CodeType | None = loader.get_code(self._found.name)
        return code


def _new_name(name: str) -> str | None:
    """Return the new name of a module that moved, or whose package did; otherwise None."""
    if not name.startswith(PACKAGE):
        return None
    old, rest = name.removeprefix(PACKAGE), ""
    while old:
        if old in MOVED:
            return PACKAGE + MOVED[old] + rest
        old, dot, last = old.rpartition(".")
        rest = dot + last + rest
    return None


_FINDER: Final = _MovedModuleFinder()
