"""hypercorn returns what is posted: ``python hypercorn_server.py PORT CERT KEY``."""

import asyncio
import sys
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

import ktls_fast.asyncio


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Return the body."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


config, (port, cert, key) = Config(), sys.argv[1:]
config.bind, config.certfile, config.keyfile = [f"127.0.0.1:{port}"], cert, key
factory = ktls_fast.asyncio.new_event_loop  # before: factory = asyncio.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(serve(app, config, mode="asgi"))
