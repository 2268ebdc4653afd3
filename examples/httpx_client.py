"""httpx posts its input and prints the answer: ``python httpx_client.py URL ROOTS``."""

import asyncio
import sys

import httpx

import ktls_fast.ssl as ssl  # before: import ssl


async def main(url: str, roots: str) -> None:
    """Make one request."""
    context = ssl.create_default_context(cafile=roots)
    async with httpx.AsyncClient(verify=context) as client:
        response = await client.post(url, content=sys.stdin.buffer.read())
        sys.stdout.buffer.write(response.content)


asyncio.run(main(*sys.argv[1:]))
