"""``SSLContext``, the functions that create one, and the patch for a whole program."""

import gc
import socket
import ssl
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from ktls_fast._handover.keylog import key_file, set_key_file
from ktls_fast._handover.layer import SslLayer, layer_over_bios, layer_over_socket

from ._objects import SSLObject, SSLSocket

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    StrPath = str | bytes | PathLike[str] | PathLike[bytes]
    PasswordType = str | bytes | bytearray | Callable[[], str | bytes | bytearray]

_F = TypeVar("_F")


class _HandOverMethods:
    """What differs from ``ssl.SSLContext``."""

    _ktls_hooked: ClassVar[bool] = True
    _ktls_has_certificate = False
    sslobject_class: type[ssl.SSLObject] = SSLObject
    sslsocket_class: type[ssl.SSLSocket] = SSLSocket

    def _wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        **options: Any,
    ) -> SslLayer:
        return layer_over_bios(
            cast("ssl.SSLContext", self),
            incoming,
            outgoing,
            True,
            server_side=server_side,
            server_hostname=server_hostname,
            **options,
        )

    def _wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        server_hostname: str | None = None,
        **options: Any,
    ) -> SslLayer:
        return layer_over_socket(
            cast("ssl.SSLContext", self),
            sock,
            True,
            server_side=server_side,
            server_hostname=server_hostname,
            **options,
        )

    def load_cert_chain(
        self,
        certfile: "StrPath",
        keyfile: "StrPath | None" = None,
        password: "PasswordType | None" = None,
    ) -> None:
        """Load the certificate and the key of this side."""
        context = cast("ssl.SSLContext", self)
        super(ssl.SSLContext, context).load_cert_chain(certfile, keyfile, password)
        self._ktls_has_certificate = True

    @property
    def keylog_filename(self) -> str | None:
        """The file to which the secrets are appended, as with ``ssl``."""
        return key_file(cast("ssl.SSLContext", self))

    @keylog_filename.setter
    def keylog_filename(self, path: str | None) -> None:
        set_key_file(cast("ssl.SSLContext", self), path)


class SSLContext(_HandOverMethods, ssl.SSLContext):  # type: ignore[misc]
    """An ``ssl.SSLContext`` whose connections are carried by the engine after the handshake.

    All settings of the standard library apply, because OpenSSL does the handshake. A connection
    that cannot be handed over stays with OpenSSL: see :func:`hand_over_stat`.
    """


def with_our_context(function: _F) -> _F:
    """Return a copy of a function of ``ssl`` that creates our contexts."""
    original = cast("FunctionType", function)
    names = {**vars(ssl), "SSLContext": SSLContext}
    copy = FunctionType(
        original.__code__,
        names,
        original.__name__,
        original.__defaults__,
        original.__closure__,
    )
    copy.__kwdefaults__ = original.__kwdefaults__
    copy.__doc__ = original.__doc__
    return cast("_F", copy)


_PATCHED = (
    "_ktls_hooked",
    "_ktls_has_certificate",
    "_wrap_bio",
    "_wrap_socket",
    "keylog_filename",
    "load_cert_chain",
)
_CLASSES = ("sslobject_class", "sslsocket_class")


def inject() -> None:
    """Let every ``ssl.SSLContext`` of this process hand over its connections.

    It changes methods of the class ``ssl.SSLContext``, so it affects all modules of the program and
    the contexts that already exist. Call it at the start of a program; a library must not. The
    class itself stays, so ``isinstance`` and subclasses are not affected. :func:`eject` undoes it.
    """
    for known in gc.get_objects():
        if issubclass(type(known), ssl.SSLContext):
            # Whether it has one is not known.
            known._ktls_has_certificate = True
    for name in (*_PATCHED, *_CLASSES):
        setattr(ssl.SSLContext, name, vars(_HandOverMethods)[name])


def eject() -> None:
    """Undo :func:`inject`. Connections that were handed over continue."""
    for name in _PATCHED:
        if name in vars(ssl.SSLContext):
            delattr(ssl.SSLContext, name)
    ssl.SSLContext.sslobject_class = ssl.SSLObject
    ssl.SSLContext.sslsocket_class = ssl.SSLSocket
