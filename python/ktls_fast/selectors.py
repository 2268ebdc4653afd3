"""A selector for KtlsSockets, Connections and ordinary files.

The selectors of the standard library ask the system whether a descriptor is ready. The system sees
only TCP: it reports half a record as readable, and does not see plaintext that is already buffered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from select import POLLIN, POLLOUT, poll
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from ._core import Connection, KtlsSocket, _Bell

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike
else:
    FileDescriptorLike = Any  # for typing.get_type_hints

__all__ = ["KtlsSelector"]

ReadyList: TypeAlias = list[tuple[SelectorKey, int]]


class KtlsSelector(BaseSelector):
    """A selector that knows the state of KtlsSockets and Connections, and takes any other file.

    A KtlsSocket is ready when a kernel TLS socket would be. A Connection is readable when a read
    has something to process: data, the end, an error, or a message of TLS. After such a message a
    non-blocking read may raise ``BlockingIOError``.

    Other threads may register and unregister files during ``select``, which then takes the change
    into account.
    """

    def __init__(self) -> None:
        """Create a selector without files."""
        self._keys = _KeysByFile()
        self._bell = _Bell()
        self._closed = False

    def register(
        self,
        fileobj: FileDescriptorLike,
        events: int,
        data: Any = None,  # noqa: ANN401
    ) -> SelectorKey:
        """Watch ``fileobj`` for ``events`` and return its key.

        :raises ValueError: ``events`` is empty or unknown, or ``fileobj`` has no valid descriptor.
        :raises KeyError: ``fileobj`` is already registered.
        """
        fd = _fd_of(fileobj)
        key = SelectorKey(fileobj, fd, _check_events(events), data)
        if fd in self._keys.by_fd:
            msg = f"{fileobj!r} (FD {fd}) is already registered"
            raise KeyError(msg)
        self._keys.by_fd[fd] = key
        if _knows_readiness(fileobj):
            fileobj._watch(self._bell)
        self._bell.ring()
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> SelectorKey:
        """Stop watching ``fileobj``, which may already be closed, and return its key.

        :raises KeyError: ``fileobj`` is not registered.
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
        """Change the events and the data of ``fileobj`` and return its new key.

        :raises ValueError: ``events`` is empty or unknown; nothing has changed.
        :raises KeyError: ``fileobj`` is not registered.
        """
        key = self._keys[fileobj]._replace(events=_check_events(events), data=data)
        self._keys.by_fd[key.fd] = key
        self._bell.ring()
        return key

    def select(self, timeout: float | None = None) -> ReadyList:
        """Return the keys of the ready files with their events, after waiting for the first one.

        :param timeout: seconds to wait; None waits forever, 0 or less does not wait.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            self._bell.silence()
            poller = poll()
            poller.register(self._bell, POLLIN)
            ready = self._register_all(poller)
            wait = 0.0 if ready else max(end - time.monotonic(), 0.0)
            fired = poller.poll(None if wait == math.inf else math.ceil(wait * 1000))
            ready += self._ready_files(fired)
            if ready or wait == 0:
                return ready

    def close(self) -> None:
        """Stop watching all files; they stay open."""
        for key in self._keys.by_fd.values():
            self._forget(key)
        self._keys.by_fd.clear()
        self._closed = True

    def get_key(self, fileobj: FileDescriptorLike) -> SelectorKey:
        """Return the key of ``fileobj``.

        :raises KeyError: ``fileobj`` is not registered.
        :raises RuntimeError: the selector is closed.
        """
        if self._closed:
            msg = "the selector is closed"
            raise RuntimeError(msg)
        return self._keys[fileobj]

    def get_map(self) -> Mapping[FileDescriptorLike, SelectorKey]:
        """Return a view that maps each registered file to its key."""
        return self._keys

    def _register_all(self, poller: poll) -> ReadyList:
        """Register all files with ``poller``; return the sockets of ours that are ready."""
        ready: ReadyList = []
        for key in list(self._keys.by_fd.values()):
            watch = _MASKS[key.events]
            if _knows_readiness(key.fileobj):
                try:
                    now, watch = key.fileobj._readiness(watch)
                except OSError:
                    # The socket is closed. Like poll, report it as ready: calls return at once.
                    ready.append((key, key.events))
                    continue
                if now:
                    ready.append((key, _events_of(now, key)))
            poller.register(key.fd, watch)
        return ready

    def _ready_files(self, fired: list[tuple[int, int]]) -> ReadyList:
        """Return the ready files among those that the system reported, except sockets of ours.

        Those have to be asked again, as the system sees only TCP.
        """
        keys = ((self._keys.by_fd.get(fd), mask) for fd, mask in fired)
        return [
            (key, _events_of(mask, key))
            for key, mask in keys
            if key and not _knows_readiness(key.fileobj)
        ]

    def _forget(self, key: SelectorKey) -> None:
        if _knows_readiness(key.fileobj):
            key.fileobj._unwatch(self._bell)


class _KeysByFile(Mapping["FileDescriptorLike", SelectorKey]):
    """Keys by descriptor or file object; the object may have been closed since."""

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


def _knows_readiness(fileobj: object) -> TypeGuard[KtlsSocket | Connection]:
    """Return True if the file knows its readiness better than the system does.

    ``isinstance`` would also be True for the kernel's socket of ``KernelSocketAsKtlsSocket``.
    """
    return issubclass(type(fileobj), (KtlsSocket, Connection))


def _fd_of(fileobj: FileDescriptorLike) -> int:
    fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
    if fd < 0:
        msg = f"{fileobj!r} has the descriptor {fd}"
        raise ValueError(msg)
    return fd


def _check_events(events: int) -> int:
    if events not in _MASKS:
        msg = f"{events!r} is neither EVENT_READ nor EVENT_WRITE nor both"
        raise ValueError(msg)
    return events


def _events_of(mask: int, key: SelectorKey) -> int:
    """Return the events of ``key`` that the poll result ``mask`` contains.

    An error or a hang-up makes a file readable and writable.
    """
    read = EVENT_READ if mask & ~POLLOUT else 0
    write = EVENT_WRITE if mask & ~POLLIN else 0
    return (read | write) & key.events


_MASKS = {EVENT_READ: POLLIN, EVENT_WRITE: POLLOUT, EVENT_READ | EVENT_WRITE: POLLIN | POLLOUT}
