"""What a transport needs of a TLS connection whose handshake is complete."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["RecordConnection"]


class RecordConnection(Protocol):
    """A non-blocking TLS connection, such as :class:`ktls_fast.Connection`.

    Calls that cannot continue raise ``BlockingIOError``.
    """

    @property
    def unsent(self) -> int:
        """The number of sealed bytes that TCP has not accepted."""

    def recv(self, bufsize: int, /) -> bytes:
        """Return up to ``bufsize`` bytes; ``b""`` after the peer's close_notify."""

    def recv_into(self, buffer: "Buffer", /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 after the peer's close_notify."""

    def send(self, data: "Buffer", /) -> int:
        """Send what was left unsent, then seal some of ``data``; return how many bytes of it."""

    def pending(self) -> int:
        """Return a number above 0 if a read can do something without bytes of the socket."""

    def key_update(self, request_peer: bool = False, /) -> None:
        """Send a KeyUpdate."""

    def close_notify(self) -> None:
        """Seal close_notify, and send it as far as TCP accepts it."""

    def close(self) -> None:
        """Close the socket."""
