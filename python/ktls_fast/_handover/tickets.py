"""Session tickets for OpenSSL, after the engine has taken over a client's connection."""

import ssl
from contextlib import suppress

from .openssl import OpenSslEnd


class TicketReader:
    """Lets OpenSSL read the records in front of the first application data too.

    They may be session tickets, and ``SSLSocket.session`` is OpenSSL's. At the first data its
    record number falls behind, so later tickets are lost.
    """

    def __init__(self, end: OpenSslEnd) -> None:
        """Pass records to the OpenSSL object of ``end``, which sends nothing any more."""
        self._end = end

    def read(self, data: "bytes | memoryview[int]") -> bool:
        """Pass bytes of the wire, and return whether more are useful."""
        self._end.incoming.write(data)
        with suppress(ssl.SSLError):
            try:
                self._end.inner.read(1)
            except ssl.SSLWantReadError:
                self._end.outgoing.read()
                return True
        self._end.incoming.read()
        self._end.outgoing.read()
        return False
