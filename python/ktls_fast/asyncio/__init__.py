"""TLS transports for asyncio whose records this package carries.

The functions here have the signatures and the semantics of asyncio's methods and functions of the
same names, and work on any running loop that has ``add_reader`` and ``add_writer``: the selector
loops of the standard library, and uvloop. ``ssl`` is a :class:`ssl.SSLContext`.

A whole program is switched by :func:`install`, or by the loop factories :func:`new_event_loop` and
:func:`new_uvloop`::

    asyncio.Runner(loop_factory=ktls_fast.asyncio.new_event_loop)
    uvicorn --loop ktls_fast.asyncio:new_event_loop …
"""

from ._functions import (
    adopt_connection,
    connect_accepted_socket,
    create_connection,
    create_server,
    create_unix_connection,
    create_unix_server,
    sendfile,
    start_tls,
)
from ._install import EventLoopPolicy, install, new_event_loop, new_uvloop
from ._loop import Loop
from ._streams import open_connection, open_unix_connection, start_server, start_unix_server
from ._transport import TLSTransport

__all__ = [
    "EventLoopPolicy",
    "Loop",
    "TLSTransport",
    "adopt_connection",
    "connect_accepted_socket",
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "install",
    "new_event_loop",
    "new_uvloop",
    "open_connection",
    "open_unix_connection",
    "sendfile",
    "start_server",
    "start_tls",
    "start_unix_server",
]
