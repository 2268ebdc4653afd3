"""Our side of a test: a server in a thread, an echo, and connections without a handshake."""

from __future__ import annotations

import select
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from ktls_fast import (
    ClientConfig,
    Connection,
    RekeyPolicy,
    ServerConfig,
    ServerIdentity,
    StormPolicy,
    TrafficSecret,
)
from tests.peers.pki import CertificateAndKey, pki
from tests.peers.raw import RawPeer, RecordDirection, secret_for
from tests.peers.support import DEADLINE, answer, dial, listener, port_of, socket_pair, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

T = TypeVar("T")

LOCAL_SEED, PEER_SEED = 1, 101


class RekeyLimits(TypedDict, total=False):
    """The options for when keys are renewed, and how often the peer may renew its key."""

    rekey: RekeyPolicy
    storm: StormPolicy
    rekey_bytes: int
    rekey_records: int
    rekey_peer: bool
    rekey_interval: float
    key_update_limit: tuple[int, float]


class ConfigOptions(RekeyLimits, total=False):
    """The options of both kinds of configuration."""

    alpn: Sequence[str]
    min_version: str
    suites: Sequence[str]
    groups: Sequence[str]
    prefer_post_quantum: bool
    keylog: str


class ServerOptions(ConfigOptions, total=False):
    """The options of a server, besides its certificate."""

    client_roots: bytes
    require_client_cert: bool
    tickets: int
    identities: Sequence[ServerIdentity]
    resolver: Callable[[str | None], ServerConfig | ServerIdentity | None]


class ClientOptions(ConfigOptions, total=False):
    """The options of a client, besides its roots."""

    cert: bytes
    key: bytes
    resumption: bool


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """The parameters of a connection at its end."""

    version: str | None
    cipher: str | None
    alpn: str | None
    resumed: bool
    leaf: bytes | None
    """The leaf certificate of the peer as DER."""
    tx_generation: int
    rx_generation: int


def summary(conn: Connection) -> ConnectionSummary:
    """Return the parameters of a connection."""
    return ConnectionSummary(
        version=conn.version,
        cipher=conn.cipher,
        alpn=conn.alpn,
        resumed=conn.resumed,
        leaf=next(iter(conn.peer_certificates), None),
        tx_generation=conn.tx_generation,
        rx_generation=conn.rx_generation,
    )


def server_config(
    identity: CertificateAndKey | None = None, **options: Unpack[ServerOptions]
) -> ServerConfig:
    """Return the configuration of a server for ``localhost``."""
    identity = identity or pki().server
    return ServerConfig(identity.cert, identity.key, **options)


def client_config(roots: bytes | None = None, **options: Unpack[ClientOptions]) -> ClientConfig:
    """Return the configuration of a client that trusts the test authority, or only ``roots``."""
    return ClientConfig(roots or pki().roots, **options)


def connect(port: int, config: ClientConfig | None = None) -> Connection:
    """Connect our client to ``localhost``, and return it after its handshake."""
    return Connection.client(dial(port), config or client_config(), "localhost")


def serve_once(
    handle: Callable[[Connection], T], config: ServerConfig | None = None
) -> tuple[int, Future[T]]:
    """Start our server for one connection; return its port, and a future of ``handle``."""
    listening = listener()
    config = config or server_config()

    def run() -> T:
        with listening, Connection.server(answer(listening), config) as conn:
            return handle(conn)

    return port_of(listening), start(run)


def echo(
    conn: Connection, before_reply: Callable[[Connection], None] | None = None
) -> ConnectionSummary:
    """Echo all data until the peer closes, and return the summary.

    ``before_reply`` is called before each reply, and may rekey.
    """
    while data := conn.read(65536):
        if before_reply is not None:
            before_reply(conn)
        conn.sendall(data)
    conn.close_notify()
    return summary(conn)


def echoing(
    before_reply: Callable[[Connection], None] | None,
) -> Callable[[Connection], ConnectionSummary]:
    """Return an :func:`echo` for :func:`serve_once`."""
    return lambda conn: echo(conn, before_reply)


def read_exactly(conn: Connection, size: int) -> bytes:
    """Read ``size`` bytes, or fewer if the peer ends before."""
    data = bytearray()
    while len(data) < size and (piece := conn.read(size - len(data))):
        data += piece
    return bytes(data)


def read_all(conn: Connection) -> bytes:
    """Read everything up to the peer's close_notify."""
    return b"".join(iter(lambda: conn.read(65536), b""))


@contextmanager
def paired(
    *,
    server_side: bool = True,
    suite: int = 0x1301,
    received: bytes = b"",
    **limits: Unpack[RekeyLimits],
) -> Iterator[tuple[Connection, RawPeer]]:
    """Yield a connection of ours without a handshake, and its peer made by hand."""
    near, far = socket_pair()
    with (
        far,
        Connection.from_secrets(
            near,
            server_side=server_side,
            tx=TrafficSecret(suite, secret_for(suite, LOCAL_SEED)),
            rx=TrafficSecret(suite, secret_for(suite, PEER_SEED)),
            received=received,
            **limits,
        ) as conn,
    ):
        yield conn, raw_peer(far, suite)
        # Without a peer, close() does not wait for its alert to be read.
        far.close()


def raw_peer(sock: socket.socket, suite: int = 0x1301) -> RawPeer:
    """Return the far end of a :func:`paired` connection."""
    return RawPeer(
        sock, tx=peer_half(suite), rx=RecordDirection(suite, secret_for(suite, LOCAL_SEED))
    )


def peer_half(suite: int = 0x1301) -> RecordDirection:
    """Return the sending direction of the peer of a :func:`paired` connection."""
    return RecordDirection(suite, secret_for(suite, PEER_SEED))


def await_readable(conn: Connection) -> None:
    """Wait until the descriptor of a connection is readable."""
    readable, _, _ = select.select([conn], [], [], DEADLINE)
    assert readable
