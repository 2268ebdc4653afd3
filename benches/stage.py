"""The cases of one group, set up once for all their turns."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.bench import Case, Work


class Stage:
    """Holds the work of the group that has its turns, and ends it before the next one's."""

    def __init__(self) -> None:
        self._group = ""
        self._works: dict[str, Work] = {}
        self._ends = ExitStack()

    def work(self, case: Case) -> Work:
        """The work of a case, set up when it is seen first."""
        if case.group != self._group:
            self.clear()
            self._group = case.group
        if case.name not in self._works:
            assert case.start is not None, f"{case.name} is missing: {case.missing}"
            work = self._works[case.name] = case.start()
            self._ends.callback(work.close)
        return self._works[case.name]

    def clear(self) -> None:
        """End all work."""
        self._works.clear()
        self._ends.close()
