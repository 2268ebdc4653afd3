"""Whether threads of ours wait: a machine under load may keep one from working for any time."""

from pathlib import Path


def threads_sleep(name: str) -> bool:
    """True if every thread of this process with such a name waits for something."""
    return all(state in "SI" for state in _states(name))


def _states(name: str) -> list[str]:
    states = []
    for task in Path("/proc/self/task").iterdir():
        try:
            head, _, rest = (task / "stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if head.partition("(")[2].startswith(name):
            states.append(rest.split()[0])
    return states
