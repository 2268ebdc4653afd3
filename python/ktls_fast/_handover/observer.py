"""What the wire shows of a handshake: randoms, suite, record numbers and the explicit nonce.

Every method gets whole records. Nothing here reads a secret.
"""

from collections.abc import Iterator

HEADER_LENGTH = 5
CHANGE_CIPHER_SPEC, HANDSHAKE, APPLICATION_DATA = 20, 22, 23
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_MESSAGE_HEADER_LENGTH, _VERSION_LENGTH, _RANDOM_LENGTH = 4, 2, 32
_EXPLICIT_NONCE_LENGTH = 8
# The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def records_of(flight: bytes) -> Iterator[bytes]:
    """Yield the whole records at the beginning of ``flight``."""
    begin = 0
    while begin + HEADER_LENGTH <= len(flight):
        end = begin + HEADER_LENGTH + int.from_bytes(flight[begin + 3 : begin + 5])
        if end > len(flight):
            return
        yield flight[begin:end]
        begin = end


class HandshakeObserver:
    """Collects what a hand-over needs to know besides the secrets."""

    def __init__(self, *, server_side: bool) -> None:
        """Create an observer of one handshake."""
        self.server_side = server_side
        self.client_random: bytes | None = None
        self.server_random: bytes | None = None
        self.suite = 0
        self.tickets = 0
        """The records of type 23 in the flight that ended the handshake."""
        self.explicit_nonce: bytes | None = None
        """The nonce in our Finished, in TLS 1.2."""
        self._our_cipher_changed = False

    def received(self, flight: bytes) -> None:
        """Look at records of the peer."""
        for record in records_of(flight):
            self._look(record)

    def sent(self, flight: bytes) -> None:
        """Look at a flight of ours."""
        for record in records_of(flight):
            self._look(record)
            self._look_for_nonce(record)

    def ended(self, flight: bytes) -> None:
        """Look at the flight that OpenSSL wrote when it reported the end of the handshake.

        The server writes its tickets there: in TLS 1.3 these are the first records under its
        application traffic secret.
        """
        self.sent(flight)
        self.tickets = sum(record[0] == APPLICATION_DATA for record in records_of(flight))

    def _look(self, record: bytes) -> None:
        # The hellos are never encrypted. Later records of type 22 may be, and then begin with
        # random bytes, so the first match ends the search.
        if record[0] != HANDSHAKE or self.server_random is not None:
            return
        message = record[HEADER_LENGTH:]
        if message[:1] == bytes([_CLIENT_HELLO]) and self.client_random is None:
            self.client_random = _random_of(message)
        elif message[:1] == bytes([_SERVER_HELLO]):
            self._read_server_hello(message)

    def _read_server_hello(self, message: bytes) -> None:
        random = _random_of(message)
        if random is None or random == _RETRY_RANDOM:
            return
        session_id = _MESSAGE_HEADER_LENGTH + _VERSION_LENGTH + _RANDOM_LENGTH
        if len(message) <= session_id:
            return
        suite = session_id + 1 + message[session_id]
        self.server_random = random
        self.suite = int.from_bytes(message[suite : suite + 2])

    def _look_for_nonce(self, record: bytes) -> None:
        if record[0] == CHANGE_CIPHER_SPEC:
            self._our_cipher_changed = True
        elif record[0] == HANDSHAKE and self._our_cipher_changed and self.explicit_nonce is None:
            self.explicit_nonce = record[HEADER_LENGTH : HEADER_LENGTH + _EXPLICIT_NONCE_LENGTH]


def _random_of(hello: bytes) -> bytes | None:
    begin = _MESSAGE_HEADER_LENGTH + _VERSION_LENGTH
    random = hello[begin : begin + _RANDOM_LENGTH]
    return random if len(random) == _RANDOM_LENGTH else None
