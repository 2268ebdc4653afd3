"""A selector for KtlsSockets, Connections and ordinary files together.

The stdlib's selectors ask the system about a descriptor, and the system knows TCP only: it calls
half a record readable, and does not see the plaintext that waits inside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from select import POLLIN, POLLOUT, poll
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import TYPE_CHECKING, Any, TypeAlias

from ._core import Connection, KtlsSocket, _Bell

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ["KtlsSelector"]

Ready: TypeAlias = list[tuple[SelectorKey, int]]


class KtlsSelector(BaseSelector):
    """Waits for KtlsSockets as the kernel's poll would, and for anything else that has a fileno.

    A Connection is readable when a read has something to act on: data, the end, an error, or a
    message of TLS, after which a non-blocking read may raise ``BlockingIOError``.

    As with the stdlib's selectors, other threads may register and unregister during ``select``;
    here a running ``select`` takes notice.
    """

    def __init__(self) -> None:
        """Begin with no files."""
        self._keys = _Keys()
        self._bell = _Bell()
        self._closed = False

    def register(
        self,
        fileobj: FileDescriptorLike,
        events: int,
        data: Any = None,  # noqa: ANN401
    ) -> SelectorKey:
        """Watch ``fileobj`` for ``events``.

        :raises ValueError: no events, unknown ones, or no descriptor.
        :raises KeyError: it is registered already.
        """
        fd = _fd_of(fileobj)
        key = SelectorKey(fileobj, fd, _checked(events), data)
        if fd in self._keys.by_fd:
            msg = f"{fileobj!r} (FD {fd}) is already registered"
            raise KeyError(msg)
        self._keys.by_fd[fd] = key
        if isinstance(fileobj, _ASKED):
            fileobj._watch(self._bell)
        self._bell.ring()
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> SelectorKey:
        """Watch ``fileobj`` no more; it may be closed already.

        :raises KeyError: it is not registered.
        """
        key = self._keys[fileobj]
        del self._keys.by_fd[key.fd]
        self._forget(key)
        self._bell.ring()
        return key

    def modify(
        self,
        fileobj: FileDescriptorLike,
        events: int,
        data: Any = None,  # noqa: ANN401
    ) -> SelectorKey:
        """Change events and data of ``fileobj``.

        :raises ValueError: no events, or unknown ones; nothing has changed then.
        :raises KeyError: it is not registered.
        """
        key = self._keys[fileobj]._replace(events=_checked(events), data=data)
        self._keys.by_fd[key.fd] = key
        self._bell.ring()
        return key

    def select(self, timeout: float | None = None) -> Ready:
        """What is ready, waiting up to ``timeout`` seconds for the first: None for ever."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            self._bell.silence()
            poller = poll()
            poller.register(self._bell, POLLIN)
            ready = self._enlist(poller)
            wait = 0.0 if ready else max(end - time.monotonic(), 0.0)
            fired = poller.poll(None if wait == math.inf else math.ceil(wait * 1000))
            ready += self._ordinary(fired)
            if ready or wait == 0:
                return ready

    def close(self) -> None:
        """Forget all files; they stay open."""
        for key in self._keys.by_fd.values():
            self._forget(key)
        self._keys.by_fd.clear()
        self._closed = True

    def get_key(self, fileobj: FileDescriptorLike) -> SelectorKey:
        """The key of a registered file.

        :raises KeyError: it is not registered.
        :raises RuntimeError: the selector is closed.
        """
        if self._closed:
            msg = "the selector is closed"
            raise RuntimeError(msg)
        return self._keys[fileobj]

    def get_map(self) -> Mapping[FileDescriptorLike, SelectorKey]:
        """The keys by file; the view follows later changes."""
        return self._keys

    def _enlist(self, poller: poll) -> Ready:
        """Tell ``poller`` what to wait for; gives those of ours that are ready already."""
        ready: Ready = []
        for key in list(self._keys.by_fd.values()):
            watch = _MASKS[key.events]
            if isinstance(key.fileobj, _ASKED):
                try:
                    now, watch = key.fileobj._readiness(watch)
                except OSError:
                    # It was closed: as a poll says it, every call on it returns at once.
                    ready.append((key, key.events))
                    continue
                if now:
                    ready.append((key, _events_of(now, key)))
            poller.register(key.fd, watch)
        return ready

    def _ordinary(self, fired: list[tuple[int, int]]) -> Ready:
        """What the system says of all but ours, which have to be asked again."""
        keys = ((self._keys.by_fd.get(fd), mask) for fd, mask in fired)
        return [
            (key, _events_of(mask, key))
            for key, mask in keys
            if key and not isinstance(key.fileobj, _ASKED)
        ]

    def _forget(self, key: SelectorKey) -> None:
        if isinstance(key.fileobj, _ASKED):
            key.fileobj._unwatch(self._bell)


class _Keys(Mapping["FileDescriptorLike", SelectorKey]):
    """Keys by descriptor, or by the file object, also when it has been closed since."""

    def __init__(self) -> None:
        self.by_fd: dict[int, SelectorKey] = {}

    def __getitem__(self, fileobj: FileDescriptorLike) -> SelectorKey:
        try:
            return self.by_fd[_fd_of(fileobj)]
        except (KeyError, ValueError):
            for key in self.by_fd.values():
                if key.fileobj is fileobj:
                    return key
        msg = f"{fileobj!r} is not registered"
        raise KeyError(msg)

    def __iter__(self) -> Iterator[FileDescriptorLike]:
        return iter(self.by_fd)

    def __len__(self) -> int:
        return len(self.by_fd)


def _fd_of(fileobj: FileDescriptorLike) -> int:
    fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
    if fd < 0:
        msg = f"{fileobj!r} has the descriptor {fd}"
        raise ValueError(msg)
    return fd


def _checked(events: int) -> int:
    if events not in _MASKS:
        msg = f"{events!r} is neither EVENT_READ nor EVENT_WRITE nor both"
        raise ValueError(msg)
    return events


def _events_of(mask: int, key: SelectorKey) -> int:
    """An error or a hang-up lets reads and writes return."""
    read = EVENT_READ if mask & ~POLLOUT else 0
    write = EVENT_WRITE if mask & ~POLLIN else 0
    return (read | write) & key.events


_ASKED = (KtlsSocket, Connection)
"""What knows more of itself than the system does."""
_MASKS = {EVENT_READ: POLLIN, EVENT_WRITE: POLLOUT, EVENT_READ | EVENT_WRITE: POLLIN | POLLOUT}
