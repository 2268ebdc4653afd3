"""The kernel's own TLS socket, with the methods that ``KtlsSocket`` adds to ``socket.socket``."""

import errno
import functools
import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, Self, TypeVar

from . import _sock_diag
from ._core import CryptoInfo, TlsInfo
from ._kernel_poll import poll
from ._kernel_sendfile import ReadOnlyFile, has_known_size
from ._kernel_wait_all import must_wait_for_all, receive_all
from .constants import TCP_ULP
from .errors import BadRecordError, KeyExpiredError, KtlsError, RecordTooLargeError

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike
    from typing_extensions import Buffer
else:
    FileDescriptorLike = Buffer = Any  # for typing.get_type_hints

__all__ = ["KernelSocket"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

ERROR_CLASSES: Final = {
    errno.EBADMSG: BadRecordError,
    errno.EKEYEXPIRED: KeyExpiredError,
    errno.EMSGSIZE: RecordTooLargeError,
}


def _with_ktls_errors(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Wrap ``call`` so that it raises the exceptions of :mod:`ktls_fast.errors`."""

    @functools.wraps(call)
    def raising(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return call(*args, **kwargs)
        except OSError as error:
            # Subclasses of OSError, such as BlockingIOError, are passed on unchanged.
            if type(error) is not OSError or error.errno in (None, errno.EBADF):
                raise
            raise ERROR_CLASSES.get(error.errno, KtlsError)(error.errno, error.strerror) from None

    return raising


def _without_waiting_first(
    call: Callable[Concatenate[socket.socket, Parameters], Result],
    *,
    flags_at: int,
    iterables: int = 0,
) -> Callable[Concatenate[socket.socket, Parameters], Result]:
    """Wrap ``call`` so that it asks the kernel before it waits.

    On a socket with a timeout, Python polls before each call, even with ``MSG_DONTWAIT``. A poll
    reports nothing while a KeyUpdate is pending, although a receive would return an error at once
    (K-11, K-13).

    :param flags_at: the position of the flags among the arguments of ``call``.
    :param iterables: how many of the first arguments are iterables; they become lists, as they
        may have to be iterated over twice.
    """

    @_with_ktls_errors
    @functools.wraps(call)
    def asking(
        sock: socket.socket, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        if sock.gettimeout() and sock.fileno() >= 0:
            args = _with_lists(args, iterables)
            try:
                with non_blocking(sock) as same:
                    return call(same, *args, **kwargs)
            except BlockingIOError:
                flags = args[flags_at] if len(args) > flags_at else kwargs.get("flags", 0)
                if isinstance(flags, int) and flags & socket.MSG_DONTWAIT:
                    raise
        return call(sock, *args, **kwargs)

    return asking


def _with_lists(args: Any, count: int) -> Any:  # noqa: ANN401
    """Return the arguments with the first ``count`` of them converted to lists."""
    return (*(list(argument) for argument in args[:count]), *args[count:])


@contextmanager
def non_blocking(sock: socket.socket) -> Iterator[socket.socket]:
    """Yield a non-blocking socket object with the descriptor of ``sock``.

    The descriptor itself is non-blocking already, as ``sock`` has a timeout.
    """
    same = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
    try:
        same.setblocking(False)
        yield same
    finally:
        same.detach()


class KernelSocket(socket.socket):
    """A connected TCP socket whose TLS is the kernel's; :func:`ktls_fast.ktls_socket` returns it.

    It is a :class:`socket.socket` with the same methods, results and exceptions as
    :class:`ktls_fast.KtlsSocket`. ``docs/kernel-differences.md`` lists the differences.
    """

    __module__ = "ktls_fast"

    @classmethod
    def over(cls, sock: socket.socket) -> Self:
        """Return a socket that takes over the descriptor and the timeout of ``sock``.

        ``sock`` is detached.

        :raises TypeError: ``sock`` is not a ``socket.socket``.
        :raises ValueError: ``sock`` is closed.
        """
        if not isinstance(sock, socket.socket):
            msg = f"{type(sock)} is not a socket.socket"
            raise TypeError(msg)
        if sock.fileno() < 0:
            msg = "the socket is closed"
            raise ValueError(msg)
        made = cls(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        made.settimeout(sock.gettimeout())
        sock.detach()
        return made

    @property
    def backend(self) -> Literal["kernel"]:
        """The implementation of TLS: always ``"kernel"``."""
        return "kernel"

    @_with_ktls_errors
    def setsockopt(
        self,
        level: int,
        optname: int,
        value: "Buffer | CryptoInfo | int | None",
        optlen: int | None = None,
        /,
    ) -> None:
        """Set a socket option. See :meth:`ktls_fast.KtlsSocket.setsockopt`."""
        if isinstance(value, CryptoInfo):
            value = bytes(value)
        if value is not None:
            super().setsockopt(level, optname, value)
        else:
            super().setsockopt(level, optname, None, optlen or 0)

    @_with_ktls_errors
    def getsockopt(self, level: int, optname: int, buflen: int = 0, /) -> Any:  # noqa: ANN401
        """Return a socket option: an int if ``buflen`` is 0, otherwise up to ``buflen`` bytes."""
        return super().getsockopt(level, optname, buflen)

    bind = _with_ktls_errors(socket.socket.bind)
    connect = _with_ktls_errors(socket.socket.connect)
    listen = _with_ktls_errors(socket.socket.listen)
    getpeername = _with_ktls_errors(socket.socket.getpeername)
    getsockname = _with_ktls_errors(socket.socket.getsockname)
    shutdown = _with_ktls_errors(socket.socket.shutdown)

    send = _without_waiting_first(socket.socket.send, flags_at=1)
    sendall = _with_ktls_errors(socket.socket.sendall)
    sendmsg = _without_waiting_first(socket.socket.sendmsg, flags_at=2, iterables=2)

    @_with_ktls_errors
    def sendto(self, *args: Any) -> int:  # noqa: ANN401
        """Send data to an address. See :meth:`socket.socket.sendto`."""
        return super().sendto(*args)

    _recv = _without_waiting_first(socket.socket.recv, flags_at=1)
    _recv_into = _without_waiting_first(socket.socket.recv_into, flags_at=2)
    _recvmsg = _without_waiting_first(socket.socket.recvmsg, flags_at=2)
    _recvmsg_into = _without_waiting_first(socket.socket.recvmsg_into, flags_at=2, iterables=1)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive up to ``bufsize`` bytes. See :meth:`ktls_fast.KtlsSocket.recv`."""
        if must_wait_for_all(self, flags):
            data: bytes = self.recvmsg(bufsize, 0, flags)[0]
            return data
        return self._recv(bufsize, flags)

    def recv_into(self, buffer: "Buffer", nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer``; return the size. See :meth:`ktls_fast.KtlsSocket.recv_into`."""
        whole = memoryview(buffer)
        if not must_wait_for_all(self, flags) or not 0 <= nbytes <= whole.nbytes:
            return self._recv_into(buffer, nbytes, flags)
        room = whole.cast("B")[: nbytes or whole.nbytes]
        return receive_all(self, self._recvmsg_into, [room], 0, flags)[0]

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:  # noqa: ANN401
        """Receive data and control messages. See :meth:`ktls_fast.KtlsSocket.recvmsg`."""
        if not must_wait_for_all(self, flags) or bufsize < 0:
            return self._recvmsg(bufsize, ancbufsize, flags)
        data = bytearray(bufsize)
        size, *others = receive_all(self, self._recvmsg_into, [data], ancbufsize, flags)
        return bytes(data[:size]), *others

    def recvmsg_into(
        self, buffers: "Iterable[Buffer]", ancbufsize: int = 0, flags: int = 0, /
    ) -> Any:  # noqa: ANN401
        """Receive into several buffers. See :meth:`ktls_fast.KtlsSocket.recvmsg_into`."""
        if must_wait_for_all(self, flags):
            return receive_all(self, self._recvmsg_into, buffers, ancbufsize, flags)
        return self._recvmsg_into(buffers, ancbufsize, flags)

    @_with_ktls_errors
    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:  # noqa: ANN401
        """Send a file; return the number of bytes. See :meth:`ktls_fast.KtlsSocket.sendfile`."""
        if has_known_size(file):
            return super().sendfile(file, offset, count)
        # socket.sendfile takes a file of unknown size, such as a pipe, for an empty one.
        reader: Any = ReadOnlyFile(file, offset, count)
        return super().sendfile(reader)

    @_with_ktls_errors
    def splice_from(self, fd_in: "FileDescriptorLike", n: int, flags: int = 0, /) -> int:
        """Send up to ``n`` bytes of a pipe. See :meth:`ktls_fast.KtlsSocket.splice_from`."""
        if not flags & os.SPLICE_F_NONBLOCK:
            self._wait(select.POLLOUT)
        return os.splice(_number(fd_in), self.fileno(), n, flags=flags)

    @_with_ktls_errors
    def splice_to(self, fd_out: "FileDescriptorLike", n: int, flags: int = 0, /) -> int:
        """Receive up to ``n`` bytes into a pipe. See :meth:`ktls_fast.KtlsSocket.splice_to`."""
        pipe = _number(fd_out)
        if self.gettimeout() and not flags & os.SPLICE_F_NONBLOCK:
            with suppress(BlockingIOError):
                return os.splice(self.fileno(), pipe, n, flags=flags | os.SPLICE_F_NONBLOCK)
            self._wait(select.POLLIN)
        return os.splice(self.fileno(), pipe, n, flags=flags)

    def poll(self, events: int, timeout: float | None = None) -> int:
        """Wait for ``events``; return those that occurred. See :meth:`ktls_fast.KtlsSocket.poll`.

        :raises ValueError: ``timeout`` is negative, infinite or not a number.
        """
        return poll(self, events, timeout)

    @_with_ktls_errors
    def info(self) -> TlsInfo | None:
        """Return the state of TLS, or None without TLS. See :meth:`ktls_fast.KtlsSocket.info`.

        :raises KtlsError: EOPNOTSUPP: the kernel's sock_diag reports nothing about TLS.
        """
        if not self.getsockopt(socket.IPPROTO_TCP, TCP_ULP, 16).startswith(b"tls"):
            return None
        info = _sock_diag.tls_info(_sock_diag.query(self))
        if info is None:
            msg = "the sock_diag of this kernel reports nothing about TLS"
            raise KtlsError(errno.EOPNOTSUPP, msg)
        return info

    def _wait(self, event: int) -> None:
        """Wait for ``event`` up to the socket's timeout, as Python does before its own calls.

        Return at once if the socket has no timeout or is non-blocking.

        :raises TimeoutError: the timeout has passed.
        """
        timeout = self.gettimeout()
        if timeout and not self.poll(event, timeout):
            msg = "timed out"
            raise TimeoutError(msg)

    def __repr__(self) -> str:
        """Return the class, the descriptor and the backend."""
        return f"<KernelSocket fd={self.fileno()} backend=kernel>"


def _number(file: "FileDescriptorLike") -> int:
    return file if isinstance(file, int) else file.fileno()
