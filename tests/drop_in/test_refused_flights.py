"""Handshakes over a wire that refuses flights at first, as a full socket does."""

import ssl as stdlib_ssl

import pytest

from ktls_fast import ssl
from ktls_fast._handover.ssl_errors import want_write
from ktls_fast._handover.wires import BioWire, Deadline
from tests.drop_in.contexts import VERSIONS, BioEnd, BioPair, Contexts, is_ours
from tests.drop_in.test_bio import swap


class ReluctantWire(BioWire):
    """Keeps each flight, and sends it at the second call of ``flush``."""

    _kept = b""
    _refusals = 0
    refused = 0

    @property
    def has_unsent(self) -> bool:
        return bool(self._kept)

    def send(self, data: bytes, until: Deadline) -> None:
        self._kept += data
        self._refusals = 1
        self.refused += 1
        raise want_write()

    def flush(self, until: Deadline) -> None:
        if self._refusals:
            self._refusals -= 1
            raise want_write()
        kept, self._kept = self._kept, b""
        self.outgoing.write(kept)


class ReluctantEnd(BioEnd):
    """An end over a :class:`ReluctantWire`."""

    def make_reluctant(self) -> ReluctantWire:
        end = self.tls._sslobj._handshake.end
        wire = ReluctantWire(self.incoming, self.outgoing)
        end.wire = end.reader._wire = wire
        return wire

    def step(self, call: object) -> bool:
        for _ in range(3):
            try:
                return super().step(call)  # type: ignore[arg-type]
            except ssl.SSLWantWriteError:
                continue
        pytest.fail("the wire was refused too often")


@pytest.mark.parametrize("stays_with_openssl", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_refused_flights_are_sent_once_and_in_order(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, stays_with_openssl: bool
) -> None:
    context = contexts.server(version, post_handshake_auth=stays_with_openssl)
    server = ReluctantEnd(context, server_side=True)
    wire = server.make_reluctant()
    pair = BioPair(BioEnd(contexts.client(version, stdlib_ssl)), server)
    pair.handshake()
    assert wire.refused == 2
    assert is_ours(server.tls) is not stays_with_openssl
    if not stays_with_openssl:  # the engine writes to the BIOs themselves
        swap(pair, 50_000)
