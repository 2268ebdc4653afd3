"""The loop of uvloop, with TLS transports of this package."""

from typing import Any

import uvloop

from ._loop import adapt

__all__ = ["UvloopLoop"]


class UvloopLoop(uvloop.Loop):
    """The event loop of uvloop; its ``ssl=`` arguments lead to the transports of this package."""

    async def create_connection(self, *arguments: Any, **options: Any) -> Any:
        """Connect to a server; the parameters are those of the standard library."""
        return await self._choose("create_connection", options)(*arguments, **options)

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """Start a TCP server; the parameters are those of the standard library."""
        return await self._choose("create_server", options)(*arguments, **options)

    async def create_unix_connection(self, *arguments: Any, **options: Any) -> Any:
        """Connect to a Unix socket; the parameters are those of the standard library."""
        return await self._choose("create_unix_connection", options)(*arguments, **options)

    async def create_unix_server(self, *arguments: Any, **options: Any) -> Any:
        """Start a server at a Unix socket; the parameters are those of the standard library."""
        return await self._choose("create_unix_server", options)(*arguments, **options)

    async def connect_accepted_socket(self, *arguments: Any, **options: Any) -> Any:
        """Serve an accepted socket; the parameters are those of the standard library."""
        return await self._choose("connect_accepted_socket", options)(*arguments, **options)

    async def sendfile(self, *arguments: Any, **options: Any) -> int:
        """Send a file over a transport of this package."""
        sent: int = await adapt(self).sendfile(*arguments, **options)
        return sent

    async def start_tls(self, *arguments: Any, **options: Any) -> Any:
        """Upgrade a transport to TLS; the parameters are those of the standard library."""
        return await adapt(self).start_tls(*arguments, **options)

    async def stock_start_tls(self, *arguments: Any, **options: Any) -> Any:
        """Upgrade a transport by the implementation of uvloop."""
        return await super().start_tls(*arguments, **options)

    def _choose(self, method: str, options: dict[str, Any]) -> Any:
        return getattr(adapt(self) if options.get("ssl") else super(), method)
