"""aiohttp posts its input and prints the answer: ``python aiohttp_client.py URL ROOTS``."""

import asyncio
import sys

import aiohttp

import ktls_fast.ssl as ssl  # before: import ssl


async def main(url: str, roots: str) -> None:
    """Make one request."""
    context = ssl.create_default_context(cafile=roots)
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=sys.stdin.buffer.read(), ssl=context) as response,
    ):
        sys.stdout.buffer.write(await response.read())


asyncio.run(main(*sys.argv[1:]))
