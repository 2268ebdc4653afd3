"""aiohttp returns what is posted: ``python aiohttp_server.py PORT CERT KEY``."""

import ssl
import sys

from aiohttp import web

import ktls_fast.asyncio


async def echo(request: web.Request) -> web.Response:
    """Return the body."""
    return web.Response(body=await request.read())


port, cert, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
app = web.Application(client_max_size=1 << 30)
app.router.add_post("/", echo)
web.run_app(
    app,
    host="127.0.0.1",
    port=int(port),
    ssl_context=context,
    loop=ktls_fast.asyncio.new_event_loop(),  # before: loop=None,
)
