"""From a finished handshake of OpenSSL to the keys of the engine, or to the reason why not."""

import os
import socket
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ktls_fast._core import (
    Connection,
    CryptoInfo,
    Opener,
    Sealer,
    TLSObject,
    TrafficSecret,
    derive_tls12_keys,
)
from ktls_fast.errors import KtlsError

from .keylog import HandshakeSecrets
from .observer import APPLICATION_DATA, HANDSHAKE, HandshakeObserver, records_of

_KEY_UPDATE = 24
_KEY_UPDATE_RECORD = 27
"""The length of a record with nothing but a KeyUpdate: 5 bytes, its type, and the tag."""
_NONCE_LENGTH = 8

_outcomes: Counter[str] = Counter({"taken over": 0})


class Reason(StrEnum):
    """Why OpenSSL keeps a connection."""

    NO_KEY_LOG = "no key log"
    NO_SECRETS = "no secrets"
    TWO_SETS_OF_SECRETS = "two sets of secrets"
    PROTOCOL_VERSION = "protocol version"
    CIPHER_SUITE = "cipher suite"
    COMPRESSION = "compression"
    POST_HANDSHAKE_AUTHENTICATION = "post-handshake authentication"
    MESSAGE_CALLBACK = "message callback"


class HandOverRefusedError(Exception):
    """A connection cannot be taken over."""

    def __init__(self, reason: Reason) -> None:
        """Create the error for ``reason``."""
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class DirectionKeys:
    """The key of one direction and the number of its next record."""

    secret: TrafficSecret | None
    """The secret in TLS 1.3, or None in TLS 1.2."""
    rec_seq: int

    def count(self, record: bytes) -> None:
        """Advance by one encrypted record, which OpenSSL has sent or opened."""
        if self.secret is None:
            self.rec_seq += 1
        elif record[0] == APPLICATION_DATA:
            if len(record) == _KEY_UPDATE_RECORD and _is_key_update(
                self.secret, self.rec_seq, record
            ):
                self.secret, self.rec_seq = self.secret.next(), 0
            else:
                self.rec_seq += 1


def _is_key_update(secret: TrafficSecret, rec_seq: int, record: bytes) -> bool:
    try:
        record_type, message = Opener(secret.crypto_info(rec_seq)).open(record)
    except KtlsError:
        return False
    return record_type == HANDSHAKE and message[:1] == bytes([_KEY_UPDATE])


@dataclass(slots=True)
class TakenKeys:
    """All that the engine needs to continue a connection."""

    server_side: bool
    sent: DirectionKeys
    received: DirectionKeys
    tls12: "Tls12Secrets | None"

    def count_sent(self, flight: bytes) -> None:
        """Count records that OpenSSL has sent after the handshake."""
        for record in records_of(flight):
            self.sent.count(record)

    def count_received(self, record: bytes) -> None:
        """Count a record that OpenSSL has opened after the handshake."""
        self.received.count(record)

    def tls_object(self, received: bytes = b"", **policy: Any) -> TLSObject:
        """Return the connection without a socket; ``received`` are records of the peer."""
        return TLSObject.from_secrets(**self._arguments(received), **policy)

    def connection(
        self,
        sock: socket.socket,
        received: bytes,
        **policy: Any,
    ) -> Connection:
        """Return the connection over ``sock``; ``received`` are records of the peer."""
        return Connection.from_secrets(sock, **self._arguments(received), **policy)

    def before_last_received(self) -> "TakenKeys":
        """Return these keys as they were before the last record of the peer."""
        received = replace(self.received, rec_seq=self.received.rec_seq - 1)
        return replace(self, received=received)

    def received_info(self) -> CryptoInfo:
        """Return the key of the peer's direction at its next record."""
        _, rx = self.pair()
        return rx if isinstance(rx, CryptoInfo) else rx.crypto_info(self.received.rec_seq)

    def _arguments(self, received: bytes) -> dict[str, Any]:
        tx, rx = self.pair()
        arguments: dict[str, Any] = {
            "server_side": self.server_side,
            "tx": tx,
            "rx": rx,
            "received": received,
        }
        if self.tls12 is None:  # the CryptoInfo of TLS 1.2 has the number in it
            arguments |= {"tx_rec_seq": self.sent.rec_seq, "rx_rec_seq": self.received.rec_seq}
        return arguments

    def pair(self) -> "tuple[TrafficSecret | CryptoInfo, TrafficSecret | CryptoInfo]":
        """Return the keys of our direction and of the peer's."""
        if self.tls12 is not None:
            return self.tls12.pair(self.server_side, self.sent.rec_seq, self.received.rec_seq)
        assert self.sent.secret is not None
        assert self.received.secret is not None
        return self.sent.secret, self.received.secret


@dataclass(frozen=True, slots=True)
class Tls12Secrets:
    """The master secret of TLS 1.2 and what its key block depends on."""

    suite: int
    master: bytes = field(repr=False)
    client_random: bytes
    server_random: bytes
    first_nonce: int
    """The explicit nonce of our Finished, which was record 0."""

    def pair(self, server_side: bool, sent: int, received: int) -> tuple[CryptoInfo, CryptoInfo]:
        """Return the keys of our direction and of the peer's, at these record numbers."""
        # OpenSSL has used the nonces from first_nonce on, one for each record.
        ours = ((self.first_nonce + sent) % (1 << 64)).to_bytes(_NONCE_LENGTH)
        side = "server" if server_side else "client"
        peer = "client" if server_side else "server"
        numbers: dict[str, Any] = {
            f"{side}_iv": ours,
            f"{side}_rec_seq": sent,
            f"{peer}_rec_seq": received,
        }
        client, server = derive_tls12_keys(
            self.suite, self.master, self.client_random, self.server_random, **numbers
        )
        return (server, client) if server_side else (client, server)


def taken_keys(
    version: str | None, observer: HandshakeObserver, secrets: HandshakeSecrets | None
) -> TakenKeys:
    """Return the keys after a handshake.

    :raises HandOverRefusedError: the connection stays with OpenSSL.
    """
    if secrets is None:
        raise HandOverRefusedError(Reason.NO_KEY_LOG)
    if secrets.ambiguous:
        raise HandOverRefusedError(Reason.TWO_SETS_OF_SECRETS)
    try:
        if version == "TLSv1.3":
            return _tls13(observer, secrets)
        if version == "TLSv1.2":
            return _tls12(observer, secrets)
    except KtlsError as error:
        raise HandOverRefusedError(Reason.CIPHER_SUITE) from error
    raise HandOverRefusedError(Reason.PROTOCOL_VERSION)


def _tls13(observer: HandshakeObserver, secrets: HandshakeSecrets) -> TakenKeys:
    client, server = secrets.get("client"), secrets.get("server")
    if client is None or server is None or not observer.suite:
        raise HandOverRefusedError(Reason.NO_SECRETS)
    own, peer = (server, client) if observer.server_side else (client, server)
    return TakenKeys(
        observer.server_side,
        DirectionKeys(
            TrafficSecret(observer.suite, own), observer.tickets if observer.server_side else 0
        ),
        DirectionKeys(TrafficSecret(observer.suite, peer), 0),
        None,
    )


def _tls12(observer: HandshakeObserver, secrets: HandshakeSecrets) -> TakenKeys:
    master = secrets.get("master")
    client, server = observer.client_random, observer.server_random
    if master is None or client is None or server is None:
        raise HandOverRefusedError(Reason.NO_SECRETS)
    nonce = int.from_bytes(observer.explicit_nonce or os.urandom(_NONCE_LENGTH))
    tls12 = Tls12Secrets(observer.suite, master, client, server, nonce)
    # Both Finished messages were record 0 (RFC 5246 §6.1). Raises if the suite is unknown.
    tls12.pair(observer.server_side, 1, 1)
    return TakenKeys(observer.server_side, DirectionKeys(None, 1), DirectionKeys(None, 1), tls12)


def sealed_again(keys: TakenKeys, plaintext: bytes) -> tuple[TakenKeys, bytes]:
    """Return the record that ``plaintext`` was part of, and the keys in front of it.

    OpenSSL has opened the record, and the program has read the beginning of it. The rest is sealed
    under the number that the record had. The result never leaves this process.
    """
    if not plaintext:
        return keys, b""
    earlier = keys.before_last_received()
    return earlier, Sealer(earlier.received_info()).seal(plaintext)


def note_outcome(outcome: str) -> None:
    """Count a hand-over or the reason of a refusal."""
    _outcomes[outcome] += 1


def hand_over_stat() -> dict[str, int]:
    """Return how many handshakes ended in which way, since the process started.

    The key ``"taken over"`` counts the connections whose records the engine carries. Every other
    key is a reason why OpenSSL has kept a connection.
    """
    return dict(_outcomes)
