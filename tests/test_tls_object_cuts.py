"""Flights with the end of a handshake, tickets, data, KeyUpdates and an end, cut anywhere."""

from collections.abc import Callable

import pytest

from ktls_fast import TLSObject, WantReadError
from tests.peers.ours import client_config, server_config
from tests.tls_objects import (
    TLS12,
    TLS13,
    SslEnd,
    exchange,
    hand_over,
    is_done,
    ssl_context,
)

DATA = b"before", b"between", b"after"


def read_to_end(tls: TLSObject) -> bytes:
    """Read all data; the stream must have ended."""
    data = bytearray()
    while piece := tls.read():
        data += piece
    return bytes(data)


def feed(tls: TLSObject, pieces: list[bytes]) -> bytes:
    """Pass on a flight in pieces, and read after each; return the data."""
    data = bytearray()
    for piece in pieces:
        tls.receive(piece)
        try:
            while got := tls.read():
                data += got
        except WantReadError:
            assert tls.pending() == 0
    return bytes(data)


def send_all(sender: TLSObject) -> bytes:
    """Seal data, two KeyUpdates and close_notify; return everything that is unsent."""
    sender.write(DATA[0])
    sender.key_update(request_peer=True)
    sender.write(DATA[1])
    sender.key_update()
    sender.write(DATA[2])
    sender.close_notify()
    return sender.data_to_send()


def clients_last_flight() -> tuple[TLSObject, bytes]:
    """Return a server before the client's Finished, and the flight with it and all that follows."""
    client = TLSObject.client(client_config(), "localhost")
    server = TLSObject.server(server_config())
    server.receive(client.data_to_send())
    client.receive(server.data_to_send())
    assert is_done(client)
    assert not is_done(server)
    return server, send_all(client)


def servers_last_flight() -> tuple[TLSObject, bytes]:
    """Return a client, and the server's flight with its tickets and all that follows."""
    client = TLSObject.client(client_config(), "localhost")
    server = TLSObject.server(server_config(tickets=2))
    server.receive(client.data_to_send())
    client.receive(server.data_to_send())
    server.receive(client.data_to_send())
    assert is_done(server)
    return client, send_all(server)


def servers_last_flight_of_tls12() -> tuple[TLSObject, bytes]:
    """Return a client of TLS 1.2, and the server's flight with its Finished and data."""
    client = TLSObject.client(
        client_config(suites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]), "localhost"
    )
    server = TLSObject.server(server_config())
    for end, other in ((client, server), (server, client), (client, server)):
        other.receive(end.data_to_send())
    assert is_done(server)
    assert not is_done(client)
    for data in DATA:
        server.write(data)
    server.close_notify()
    return client, server.data_to_send()


FLIGHTS: list[Callable[[], tuple[TLSObject, bytes]]] = [
    clients_last_flight,
    servers_last_flight,
    servers_last_flight_of_tls12,
]


@pytest.mark.parametrize("last_flight", FLIGHTS)
def test_a_flight_may_be_cut_anywhere(
    last_flight: Callable[[], tuple[TLSObject, bytes]],
) -> None:
    cut, size = 0, 1
    while cut <= size:
        ours, flight = last_flight()
        size = len(flight)
        data = feed(ours, [flight[:cut], flight[cut:]])
        assert data == b"".join(DATA), f"cut at {cut} of {size}"
        assert ours.read() == b""
        assert (ours.pending(), ours.closed_by_peer, ours.leftover()) == (0, True, b"")
        # Every third place covers headers, bodies and tags of all records in a third of the time.
        cut += 3 if 0 < cut < size - 3 else 1


@pytest.mark.parametrize("last_flight", FLIGHTS)
def test_a_flight_may_arrive_byte_by_byte(
    last_flight: Callable[[], tuple[TLSObject, bytes]],
) -> None:
    ours, flight = last_flight()
    assert feed(ours, [flight[at : at + 1] for at in range(len(flight))]) == b"".join(DATA)
    assert ours.closed_by_peer


@pytest.mark.parametrize("last_flight", FLIGHTS)
def test_a_flight_may_be_read_only_when_it_is_whole(
    last_flight: Callable[[], tuple[TLSObject, bytes]],
) -> None:
    ours, flight = last_flight()
    ours.receive(flight + b"in the clear")
    ours.receive_eof()
    assert read_to_end(ours) == b"".join(DATA)
    assert ours.leftover() == b"in the clear"


def test_what_is_answered_does_not_depend_on_the_cut() -> None:
    _, flight = clients_last_flight()
    for cut in range(0, len(flight), 7):
        server, flight = clients_last_flight()
        tickets = len(server.data_to_send())
        assert tickets == 0
        feed(server, [flight[:cut], flight[cut:]])
        assert server.rx_generation == 2
        assert server.tx_generation == 1, "one request, one answer"


@pytest.mark.parametrize("version", [TLS13, TLS12], ids=["1.3", "1.2"])
@pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])
def test_a_whole_connection_with_openssl_may_go_byte_by_byte(
    version: object, *, server_side: bool
) -> None:
    assert version in (TLS12, TLS13)
    peer = SslEnd(
        ssl_context(TLS13 if version == TLS13 else TLS12, server_side=not server_side),
        server_side=not server_side,
    )
    ours = (
        TLSObject.server(server_config())
        if server_side
        else TLSObject.client(client_config(), "localhost")
    )
    for _ in range(8):
        is_done(peer)
        for end, other in ((ours, peer), (peer, ours)):
            for byte in end.data_to_send():
                other.receive(bytes([byte]))
    assert is_done(ours)
    assert is_done(peer)
    assert ours.version == ("TLSv1.3" if version == TLS13 else "TLSv1.2")
    peer.write(b"from OpenSSL" * 2000)
    wire = peer.data_to_send()
    assert feed(ours, [wire[at : at + 99] for at in range(0, len(wire), 99)]) == (
        b"from OpenSSL" * 2000
    )
    ours.write(b"to OpenSSL" * 2000)
    exchange(ours, peer)
    assert peer.read_all() == b"to OpenSSL" * 2000


@pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])
def test_a_record_of_openssl_may_be_cut_anywhere_after_a_hand_over(*, server_side: bool) -> None:
    ours, peer = hand_over(TLS13, server_side=server_side)
    for cut in range(0, 120, 5):
        peer.write(b"one" * 9)
        peer.write(b"two" * 9)
        wire = peer.data_to_send()
        assert feed(ours, [wire[:cut], wire[cut:]]) == b"one" * 9 + b"two" * 9
