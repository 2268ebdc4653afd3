"""The kernel's socket as ``KtlsSocket(sock, backend="kernel")`` returns it; removed with 0.3."""

import socket
from typing import TYPE_CHECKING, Self

from ._core import KtlsSocket
from ._kernel_socket import KernelSocket

__all__ = ["KernelSocketAsKtlsSocket"]


class KernelSocketAsKtlsSocket(KernelSocket):
    """A ``KernelSocket`` that ``isinstance`` takes for a :class:`ktls_fast.KtlsSocket` as well.

    It cannot be a subclass of both classes, because their instances have different layouts.
    """

    __module__ = "ktls_fast"

    if not TYPE_CHECKING:  # for a type checker, `__class__` is always the type itself

        @property
        def __class__(self) -> type[KtlsSocket]:
            """The class that ``isinstance`` considers besides the type."""
            return KtlsSocket

    def dup(self) -> Self:
        """Return a duplicate. The method of the base class would create a ``__class__``."""
        same = socket.fromfd(self.fileno(), self.family, self.type, self.proto)
        same.settimeout(self.gettimeout())
        return self.over(same)
