"""websockets sends its input and prints the answer: ``python websockets_client.py URL ROOTS``."""

import asyncio
import sys

from websockets.asyncio.client import connect

import ktls_fast.ssl as ssl  # before: import ssl


async def main(url: str, roots: str) -> None:
    """Send one message."""
    context = ssl.create_default_context(cafile=roots)
    async with connect(url, ssl=context, max_size=None) as connection:
        await connection.send(sys.stdin.buffer.read())
        sys.stdout.buffer.write(await connection.recv(decode=False))


asyncio.run(main(*sys.argv[1:]))
