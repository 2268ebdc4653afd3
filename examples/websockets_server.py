"""websockets returns every message: ``python websockets_server.py PORT CERT KEY``."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve

import ktls_fast.ssl as ssl  # before: import ssl


async def echo(connection: ServerConnection) -> None:
    """Return the messages."""
    async for message in connection:
        await connection.send(message)


async def main(port: str, cert: str, key: str) -> None:
    """Serve forever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with serve(echo, "127.0.0.1", int(port), ssl=context, max_size=None) as server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
