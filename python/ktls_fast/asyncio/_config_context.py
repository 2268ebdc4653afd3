"""``ServerConfig`` and ``ClientConfig`` as SSL contexts, for transports that are not sockets."""

import ssl
from typing import TYPE_CHECKING, Any, Self

from ktls_fast import ClientConfig, ServerConfig, TLSObject
from ktls_fast._handover.ssl_errors import converted, want_read
from ktls_fast.errors import WantReadError

from ._connection_info import ConnectionInfo

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ConfigContext"]


class ConfigContext(ssl.SSLContext):
    """A context whose objects perform the handshake of a configuration by rustls.

    It is an ``ssl.SSLContext`` because event loops check the class.
    """

    _config: ServerConfig | ClientConfig

    def __new__(cls, config: ServerConfig | ClientConfig) -> Self:
        """Create the context of ``config``."""
        is_server = isinstance(config, ServerConfig)
        protocol = ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT
        context = super().__new__(cls, protocol)
        context._config = config
        return context

    def wrap_bio(self, incoming: Any, outgoing: Any, *arguments: Any, **options: Any) -> Any:
        """Return an object that moves records between two memory BIOs."""
        return ConfigObject(self, self._config, incoming, outgoing, *arguments, **options)


class ConfigObject(ConnectionInfo):
    """The methods of :class:`ssl.SSLObject` over a :class:`ktls_fast.TLSObject`."""

    def __init__(
        self,
        context: ConfigContext,
        config: ServerConfig | ClientConfig,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: object = None,
    ) -> None:
        """Create the object before its handshake."""
        if isinstance(config, ServerConfig):
            self._tls = TLSObject.server(config)
        else:
            self._tls = TLSObject.client(config, server_hostname or "")
        super().__init__(self._tls, context, None if server_side else server_hostname)
        self._incoming, self._outgoing = incoming, outgoing

    def do_handshake(self) -> None:
        """Perform the handshake as far as the BIOs allow."""
        self._call(self._tls.do_handshake)

    def read(self, len: int = 1024, buffer: "Buffer | None" = None) -> Any:  # noqa: A002
        """Return up to ``len`` bytes, or read them into ``buffer`` and return their number."""
        if buffer is None:
            return self._call(self._tls.read, len)
        return self._call(self._tls.recv_into, buffer, min(len, memoryview(buffer).nbytes))

    def write(self, data: "Buffer") -> int:
        """Seal all of ``data`` and return its length."""
        written: int = self._call(self._tls.write, data)
        return written

    def unwrap(self) -> None:
        """Exchange close_notify."""
        self._call(self._tls.close_notify)
        while self._call(self._tls.read):
            pass  # data in front of close_notify is for nobody

    def _call(self, method: Any, *arguments: Any) -> Any:
        """Call a method with the bytes of one BIO, and move its bytes to the other one."""
        if data := self._incoming.read():
            self._tls.receive(data)
        elif self._incoming.eof and not self._tls.closed_by_peer:
            self._tls.receive_eof()
        try:
            return method(*arguments)
        except WantReadError:
            raise want_read() from None
        except OSError as exc:
            raise converted(exc) from exc
        finally:
            if sealed := self._tls.data_to_send():
                self._outgoing.write(sealed)
