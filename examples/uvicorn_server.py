"""uvicorn returns what is posted: ``python uvicorn_server.py PORT CERT KEY``."""

import sys
from typing import Any

import uvicorn


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Return the body."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


port, cert, key = sys.argv[1:]
uvicorn.run(
    app,
    port=int(port),
    ssl_certfile=cert,
    ssl_keyfile=key,
    lifespan="off",
    loop="ktls_fast.asyncio:new_event_loop",  # before: loop="auto",
)
