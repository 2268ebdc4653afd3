"""A check that threads are idle: on a loaded machine, a thread may have to wait for a processor."""

from pathlib import Path


def threads_sleep(name: str) -> bool:
    """Return True if all threads of this process whose names start with ``name`` are waiting."""
    return all(state in "SI" for state in _states(name))


def _states(name: str) -> list[str]:
    states = []
    for task in Path("/proc/self/task").iterdir():
        try:
            head, _, rest = (task / "stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
        if head.partition("(")[2].startswith(name):
            states.append(rest.split()[0])
    return states
