"""Records that OpenSSL carries until :func:`ktls_fast.from_ssl` takes the connection over."""

from typing import TYPE_CHECKING, Any, NoReturn

from .openssl import OpenSslCarrier, OpenSslEnd
from .take_over import TakenKeys

if TYPE_CHECKING:
    from typing_extensions import Buffer


class PreparedCarrier(OpenSslCarrier):
    """OpenSSL, with the numbers of the records that it sends and opens."""

    def __init__(self, end: OpenSslEnd, keys: TakenKeys) -> None:
        """Count from the end of the handshake on."""
        super().__init__(end)
        self.keys = keys
        self.ended = False
        """Whether either end has sent close_notify."""
        end.counter = keys

    def read(self, n: int = 1024, buffer: "Buffer | None" = None) -> Any:
        """Read, and note the end."""
        got = super().read(n, buffer)
        self.ended = self.ended or (not got and n > 0)
        return got

    def shutdown(self) -> Any:
        """Exchange close_notify."""
        self.ended = True
        return super().shutdown()


class TakenOverCarrier(OpenSslCarrier):
    """What remains of an SSL object after its connection was taken over."""

    def read(self, n: int = 1024, buffer: "Buffer | None" = None) -> NoReturn:
        """Refuse."""
        msg = "the connection was taken over by ktls_fast.from_ssl"
        raise ValueError(msg)

    def write(self, data: "Buffer") -> NoReturn:
        """Refuse."""
        self.read()

    def shutdown(self) -> NoReturn:
        """Refuse."""
        self.read()
