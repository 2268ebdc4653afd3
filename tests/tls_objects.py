"""TLS objects and their peers in memory: of this package, of ``ssl``, or made by hand."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Unpack

from ktls_fast import CryptoInfo, TLSObject, TrafficSecret, WantReadError, derive_tls12_keys
from tests.peers.ours import RekeyLimits, client_config, server_config
from tests.peers.pki import pki
from tests.peers.raw import RecordDirection, secret_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE: Final = 0x1301
CLIENT_SEED, SERVER_SEED = 1, 101
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SUITES12: Final = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
}
SUITES13: Final = {"TLS_AES_128_GCM_SHA256": 0x1301, "TLS_AES_256_GCM_SHA384": 0x1302}
SUITES13["TLS_CHACHA20_POLY1305_SHA256"] = 0x1303

_CHANGE_CIPHER_SPEC, _HANDSHAKE, _DATA = 20, 22, 23


class MemoryEnd(Protocol):
    """One end of a connection in memory."""

    def receive(self, data: bytes, /) -> None:
        """Take bytes of the peer."""

    def data_to_send(self) -> bytes:
        """Take the bytes for the peer."""

    def do_handshake(self) -> None:
        """Return if the handshake is complete; raise ``WantReadError`` before."""


class SslEnd:
    """An end of the ``ssl`` module with the methods of a :class:`ktls_fast.TLSObject`."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        """Create the end of a connection to ``localhost``."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server_side else "localhost"
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=name
        )

    def receive(self, data: bytes, /) -> None:
        """Take bytes of the peer."""
        self.incoming.write(data)

    def receive_eof(self) -> None:
        """Note that the transport has ended."""
        self.incoming.write_eof()

    def data_to_send(self) -> bytes:
        """Take the bytes for the peer."""
        return self.outgoing.read()

    def do_handshake(self) -> None:
        """Continue the handshake."""
        self._run(self.tls.do_handshake)

    def write(self, data: bytes) -> None:
        """Seal data."""
        assert self.tls.write(data) == len(data)

    def read(self) -> bytes:
        """Return data; ``b""`` after close_notify."""
        return self.tls.read(1 << 20)

    def read_all(self) -> bytes:
        """Return all data that was received."""
        data = bytearray()
        try:
            while piece := self.read():
                data += piece
        except ssl.SSLWantReadError:
            pass
        return bytes(data)

    def close_notify(self) -> None:
        """Seal close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    @staticmethod
    def _run(step: object) -> None:
        assert callable(step)
        try:
            step()
        except ssl.SSLWantReadError as error:
            raise WantReadError(11, "more") from error


def exchange(a: MemoryEnd, b: MemoryEnd) -> None:
    """Move bytes in both directions until there are none."""
    for _ in range(100):
        to_b, to_a = a.data_to_send(), b.data_to_send()
        if not to_a and not to_b:
            return
        if to_b:
            b.receive(to_b)
        if to_a:
            a.receive(to_a)
    msg = "the ends never stop sending"
    raise AssertionError(msg)


def is_done(end: MemoryEnd) -> bool:
    """Return whether the handshake of an end is complete."""
    try:
        end.do_handshake()
    except WantReadError:
        return False
    return True


def shake(client: MemoryEnd, server: MemoryEnd) -> None:
    """Complete the handshake; each flight arrives in one piece. The last flight is delivered."""
    for _ in range(10):
        done = [is_done(end) for end in (client, server)]
        exchange(client, server)
        if all(done):
            return
    msg = "the handshake does not end"
    raise AssertionError(msg)


def read_all(tls: TLSObject) -> bytes:
    """Return all data that was received."""
    data = bytearray()
    while tls.pending() and (piece := tls.read()):
        data += piece
    return bytes(data)


def objects(**limits: Unpack[RekeyLimits]) -> tuple[TLSObject, TLSObject]:
    """Return client and server of a TLS 1.3 connection without a handshake."""
    client, server = (
        TrafficSecret(SUITE, secret_for(SUITE, seed)) for seed in (CLIENT_SEED, SERVER_SEED)
    )
    return (
        TLSObject.from_secrets(server_side=False, tx=client, rx=server, **limits),
        TLSObject.from_secrets(server_side=True, tx=server, rx=client, **limits),
    )


def object_and_peer(
    **limits: Unpack[RekeyLimits],
) -> tuple[TLSObject, RecordDirection, RecordDirection]:
    """Return a server's object and the directions of its peer: sending and receiving."""
    _, server = objects(**limits)
    tx, rx = (
        RecordDirection(SUITE, secret_for(SUITE, seed)) for seed in (CLIENT_SEED, SERVER_SEED)
    )
    return server, tx, rx


def shaken(version: ssl.TLSVersion = TLS13) -> tuple[TLSObject, TLSObject]:
    """Return both ends of a connection after a handshake: the client's and the server's."""
    suites = None if version == TLS13 else ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    options = {"suites": suites} if suites else {}
    client = TLSObject.client(client_config(**options), "localhost")  # type: ignore[arg-type]
    server = TLSObject.server(server_config(**options))  # type: ignore[arg-type]
    shake(client, server)
    return client, server


def ssl_context(
    version: ssl.TLSVersion = TLS13, *, server_side: bool, ciphers: str = ""
) -> ssl.SSLContext:
    """Return a context of the ``ssl`` module for one version."""
    with tempfile.TemporaryDirectory() as folder:
        pki().write_to(Path(folder))
        if server_side:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(Path(folder, "server.pem"), Path(folder, "server.key"))
        else:
            context = ssl.create_default_context(cafile=Path(folder, "roots.pem"))
    context.minimum_version = context.maximum_version = version
    if ciphers and version == TLS12:
        context.set_ciphers(ciphers)
    return context


@dataclass(frozen=True, slots=True)
class Flights:
    """The wire bytes of a handshake between two ends of the ``ssl`` module."""

    client: bytes
    server: bytes


def records(wire: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the content type and the body of each record."""
    while wire:
        size = 5 + int.from_bytes(wire[3:5], "big")
        yield wire[0], wire[5:size]
        wire = wire[size:]


def hand_over(
    version: ssl.TLSVersion, *, server_side: bool, ciphers: str = ""
) -> tuple[TLSObject, SslEnd]:
    """Let the ``ssl`` module perform a handshake, and continue one of its ends with our object."""
    client_context = ssl_context(version, server_side=False, ciphers=ciphers)
    with tempfile.TemporaryDirectory() as folder:
        client_context.keylog_filename = str(Path(folder, "keylog"))
        client = SslEnd(client_context, server_side=False)
        context = ssl_context(version, server_side=True, ciphers=ciphers)
        server = SslEnd(context, server_side=True)
        flights = _record_handshake(client, server)
        lines = Path(folder, "keylog").read_text(encoding="ascii").splitlines()
    secrets = {line.split()[0]: bytes.fromhex(line.split()[2]) for line in lines if line[0] != "#"}
    ours = _take_over(version, client, flights, secrets, server_side=server_side)
    return ours, client if server_side else server


def _record_handshake(client: SslEnd, server: SslEnd) -> Flights:
    sent: dict[SslEnd, bytearray] = {client: bytearray(), server: bytearray()}
    for _ in range(6):
        for end, other in ((client, server), (server, client)):
            is_done(end)
            wire = end.data_to_send()
            sent[end] += wire
            other.receive(wire)
    assert is_done(client)
    assert is_done(server)
    return Flights(bytes(sent[client]), bytes(sent[server]))


def _take_over(
    version: ssl.TLSVersion,
    client: SslEnd,
    flights: Flights,
    secrets: dict[str, bytes],
    *,
    server_side: bool,
) -> TLSObject:
    cipher = client.tls.cipher()
    assert cipher is not None
    tx: TrafficSecret | CryptoInfo
    rx: TrafficSecret | CryptoInfo
    if version == TLS12:
        keys = derive_tls12_keys(
            SUITES12[cipher[0]],
            secrets["CLIENT_RANDOM"],
            next(records(flights.client))[1][6:38],
            next(records(flights.server))[1][6:38],
            client_iv=_next_nonce(flights.client),
            server_iv=_next_nonce(flights.server),
        )
        rx, tx = keys if server_side else keys[::-1]
        return TLSObject.from_secrets(server_side=server_side, tx=tx, rx=rx)
    suite = SUITES13[cipher[0]]
    ours, theirs = ("SERVER", "CLIENT") if server_side else ("CLIENT", "SERVER")
    tx = TrafficSecret(suite, secrets[f"{ours}_TRAFFIC_SECRET_0"])
    rx = TrafficSecret(suite, secrets[f"{theirs}_TRAFFIC_SECRET_0"])
    tickets = 2  # the default of OpenSSL, each in a record
    if server_side:
        return TLSObject.from_secrets(server_side=True, tx=tx, rx=rx, tx_rec_seq=tickets)
    return TLSObject.from_secrets(server_side=False, tx=tx, rx=rx, rx_rec_seq=tickets)


def _next_nonce(flight: bytes) -> bytes:
    """Return the explicit nonce after that of the Finished, the last record of a TLS 1.2 flight."""
    *_, (record_type, body) = records(flight)
    assert record_type == _HANDSHAKE
    return ((int.from_bytes(body[:8], "big") + 1) % (1 << 64)).to_bytes(8, "big")
