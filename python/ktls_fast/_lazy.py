"""Modules that are imported on first use."""

import importlib

__all__ = ["LazyModule"]


class LazyModule:
    """A stand-in for a module, which the first access to an attribute imports.

    An annotation may contain its attributes: ``typing.get_type_hints`` then imports the module,
    and the definition of the function does not.
    """

    def __init__(self, name: str) -> None:
        """Stand in for the module ``name``, with its full name."""
        self._name = name

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the module."""
        return getattr(importlib.import_module(self._name), name)
