"""The streams of trio as those of anyio."""

from typing import Any

from anyio import EndOfStream
from anyio.abc import ByteStream

__all__ = ["TrioStream"]


class TrioStream(ByteStream):
    """A stream of trio, such as ``trio.SocketStream``, as a byte stream of anyio."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401
        """Wrap a ``trio.abc.HalfCloseableStream``."""
        self._stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return up to ``max_bytes`` bytes.

        :raises anyio.EndOfStream: the peer has sent FIN.
        """
        data: bytes = await self._stream.receive_some(max_bytes)
        if not data:
            raise EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Send all of ``item``."""
        await self._stream.send_all(item)

    async def send_eof(self) -> None:
        """Send FIN."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()
