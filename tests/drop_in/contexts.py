"""Contexts of the standard library's module and of ours, and pairs of connections."""

import contextlib
import ssl as stdlib_ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ktls_fast import ssl
from tests.peers.support import socket_pair, start

TLS12, TLS13 = stdlib_ssl.TLSVersion.TLSv1_2, stdlib_ssl.TLSVersion.TLSv1_3
VERSIONS: Final = (TLS12, TLS13)


@dataclass(frozen=True, slots=True)
class Contexts:
    """Creates contexts with the certificates of the test authority."""

    folder: Path

    def server(
        self, version: stdlib_ssl.TLSVersion = TLS13, module: ModuleType = ssl, **options: Any
    ) -> stdlib_ssl.SSLContext:
        """Return the context of a server for ``localhost``."""
        context: stdlib_ssl.SSLContext = module.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        return _configured(context, version, options)

    def client(
        self, version: stdlib_ssl.TLSVersion = TLS13, module: ModuleType = ssl, **options: Any
    ) -> stdlib_ssl.SSLContext:
        """Return a client that trusts the test authority."""
        context: stdlib_ssl.SSLContext = module.create_default_context(
            cafile=self.folder / "roots.pem"
        )
        return _configured(context, version, options)


def _configured(
    context: stdlib_ssl.SSLContext, version: stdlib_ssl.TLSVersion, options: dict[str, Any]
) -> stdlib_ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    for name, value in options.items():
        setattr(context, name, value)
    return context


class BioEnd:
    """One end of a connection in memory."""

    def __init__(
        self, context: stdlib_ssl.SSLContext, *, server_side: bool = False, **options: Any
    ) -> None:
        """Wrap two new BIOs."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if not server_side:
            options.setdefault("server_hostname", "localhost")
        self.tls: Any = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, **options
        )

    def step(self, call: Callable[[], object]) -> bool:
        """Return whether ``call`` has finished; it raises SSLWantReadError otherwise."""
        try:
            call()
        except ssl.SSLWantReadError:
            return False
        return True

    def read_all(self, n: int = 65536) -> bytes:
        """Read until nothing is left."""
        data = bytearray()
        with contextlib.suppress(ssl.SSLWantReadError):
            while piece := self.tls.read(n):
                data += piece
        return bytes(data)


@dataclass(frozen=True, slots=True)
class BioPair:
    """Both ends of a connection in memory."""

    client: BioEnd
    server: BioEnd

    def carry(self) -> None:
        """Move the bytes in both directions."""
        self.server.incoming.write(self.client.outgoing.read())
        self.client.incoming.write(self.server.outgoing.read())

    def handshake(self) -> None:
        """Perform the handshake; what is sent after it stays in the BIOs of the receiver."""
        done = [False, False]
        for _ in range(20):
            done = [end.step(end.tls.do_handshake) for end in (self.client, self.server)]
            self.carry()
            if all(done):
                return
        message = f"the handshake does not end: {done}"
        raise AssertionError(message)


def bio_pair(
    client: stdlib_ssl.SSLContext, server: stdlib_ssl.SSLContext, **options: Any
) -> BioPair:
    """Return both ends after the handshake."""
    pair = BioPair(BioEnd(client, **options), BioEnd(server, server_side=True))
    pair.handshake()
    return pair


@contextlib.contextmanager
def connected(client: stdlib_ssl.SSLContext, server: stdlib_ssl.SSLContext, **options: Any) -> Any:
    """Yield both ends of a TCP connection after the handshake."""
    near, far = socket_pair()
    accepting = start(lambda: server.wrap_socket(far, server_side=True))
    options.setdefault("server_hostname", "localhost")
    with client.wrap_socket(near, **options) as ours, accepting.result(60) as theirs:
        yield ours, theirs


def is_ours(end: Any) -> bool:
    """Return whether the engine carries the records."""
    return end.generation is not None
