"""A drop-in for the module ``ssl`` of the standard library.

``from ktls_fast import ssl`` is the only change that a program needs. OpenSSL does the handshake,
with everything that the context says; then the engine of this package carries the records. A
connection that cannot be handed over stays with OpenSSL, without an error: :func:`hand_over_stat`
counts the reasons.

Every public name of the standard library's module is here. These differ: :class:`SSLContext`,
:class:`SSLObject`, :class:`SSLSocket`, and the functions that create contexts.
"""

import ssl as _stdlib
from ssl import *  # noqa: F403

from ktls_fast._handover.take_over import hand_over_stat as hand_over_stat

from ._context import SSLContext as SSLContext
from ._context import eject as eject
from ._context import inject as inject
from ._context import with_our_context as _with_our_context
from ._objects import Generation as Generation
from ._objects import SSLObject as SSLObject
from ._objects import SSLSocket as SSLSocket

create_default_context = _with_our_context(_stdlib.create_default_context)
get_server_certificate = _with_our_context(_stdlib.get_server_certificate)
_create_unverified_context = _with_our_context(_stdlib._create_unverified_context)
_create_stdlib_context = _create_unverified_context
_create_default_https_context = create_default_context
if "wrap_socket" in vars(_stdlib):  # removed in Python 3.12
    wrap_socket = _with_our_context(vars(_stdlib)["wrap_socket"])


def __getattr__(name: str) -> object:
    """Return the names that a star does not import, such as ``_SSLMethod``."""
    return getattr(_stdlib, name)
