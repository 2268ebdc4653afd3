"""``ktls_fast.from_ssl`` with connections of pyOpenSSL."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

import ktls_fast
from ktls_fast import Connection, KtlsError, TLSObject
from tests.drop_in.contexts import TLS12, TLS13, VERSIONS, BioEnd, Contexts
from tests.peers.support import socket_pair, start

SSL = pytest.importorskip("OpenSSL.SSL")
SIDES = pytest.mark.parametrize("side", ["client", "server"])
NUMBERS = {TLS12: 0x0303, TLS13: 0x0304}


def context_of(contexts: Contexts, version: Any) -> Any:
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(str(contexts.folder / "server.pem"))
    context.use_privatekey_file(str(contexts.folder / "server.key"))
    context.set_min_proto_version(NUMBERS[version])
    context.set_max_proto_version(NUMBERS[version])
    return context


class Ends:
    """A pyOpenSSL connection without a socket, and the drop-in as its peer."""

    def __init__(
        self, contexts: Contexts, version: Any, side: str, *, prepare: bool = True
    ) -> None:
        context = context_of(contexts, version)
        if prepare:
            ktls_fast.prepare(context)
        self.ours = SSL.Connection(context)
        if side == "client":
            self.ours.set_connect_state()
            self.peer = BioEnd(contexts.server(version), server_side=True)
        else:
            self.ours.set_accept_state()
            self.peer = BioEnd(contexts.client(version))
        self.handshake()

    def step(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except SSL.WantReadError:
            return False
        return True

    def carry(self) -> None:
        data: list[bytes] = []
        while self.step(lambda: data.append(self.ours.bio_read(1 << 16))):
            pass
        self.peer.incoming.write(b"".join(data))
        if wire := self.peer.outgoing.read():
            self.ours.bio_write(wire)

    def handshake(self) -> None:
        for _ in range(10):
            done = [self.step(self.ours.do_handshake), self.peer.step(self.peer.tls.do_handshake)]
            self.carry()
            if all(done):
                return
        pytest.fail("the handshake does not end")

    def read(self) -> bytes:
        data: list[bytes] = []
        while self.step(lambda: data.append(self.ours.recv(1 << 16))):
            pass
        return b"".join(data)

    def check(self, tls: TLSObject) -> None:
        tls.write(b"from us" * 5000)
        self.peer.incoming.write(tls.data_to_send())
        assert self.peer.read_all() == b"from us" * 5000
        self.peer.tls.write(b"to us" * 5000)
        tls.receive(self.peer.outgoing.read())
        assert tls.read(1 << 20) == b"to us" * 5000


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_a_connection_is_taken_over_after_the_handshake(
    contexts: Contexts, version: Any, side: str
) -> None:
    ends = Ends(contexts, version, side)
    tls = ktls_fast.from_ssl(ends.ours)
    ends.check(tls)


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_records_and_key_updates_are_counted(contexts: Contexts, version: Any, side: str) -> None:
    ends = Ends(contexts, version, side)
    for _ in range(3):
        ends.peer.tls.write(b"before" * 10_000)
        if version == TLS13:
            ends.peer.tls.key_update(request_peer=True)
            ends.peer.tls.write(b"behind")
        ends.carry()
        assert len(ends.read()) >= 60_000
        ends.ours.sendall(b"answer" * 10_000)
        ends.carry()
        assert ends.peer.read_all() == b"answer" * 10_000
    tls = ktls_fast.from_ssl(ends.ours)
    if version == TLS13:
        assert ends.peer.tls.generation == (3, 3)
    ends.check(tls)


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_unread_bytes_are_carried_over(contexts: Contexts, version: Any, side: str) -> None:
    ends = Ends(contexts, version, side)
    ends.peer.tls.write(b"first record")
    ends.peer.tls.write(b"second record")
    ends.carry()
    assert ends.ours.recv(5) == b"first"
    tls = ktls_fast.from_ssl(ends.ours)
    assert tls.read(100) == b" recordsecond record"
    ends.check(tls)


@SIDES
@pytest.mark.parametrize("version", VERSIONS)
def test_a_connection_with_a_socket(contexts: Contexts, version: Any, side: str) -> None:
    near, far = socket_pair()
    near.settimeout(None)
    context = context_of(contexts, version)
    ktls_fast.prepare(context)
    ours = SSL.Connection(context, near)
    if side == "client":
        ours.set_connect_state()
        wrap = contexts.server(version).wrap_socket
        waiting = start(lambda: wrap(far, server_side=True))
    else:
        ours.set_accept_state()
        wrap = contexts.client(version).wrap_socket
        waiting = start(lambda: wrap(far, server_hostname="localhost"))
    ours.do_handshake()
    with waiting.result(60) as peer, ktls_fast.from_ssl(ours) as connection:
        assert type(connection) is Connection
        connection.sendall(b"hello")
        assert peer.recv(10) == b"hello"
        peer.sendall(b"answer")
        assert connection.read(10) == b"answer"


def refused(number: int, text: str, connection: Any) -> None:
    with pytest.raises(KtlsError, match=text) as caught:
        ktls_fast.from_ssl(connection)
    assert caught.value.errno == number


def test_refusals_leave_the_connection_usable(contexts: Contexts) -> None:
    ends = Ends(contexts, TLS13, "client", prepare=False)
    refused(errno.EINVAL, r"call ktls_fast\.prepare", ends.ours)
    ends.peer.tls.write(b"usable")
    ends.carry()
    assert ends.read() == b"usable"


def test_a_cut_record_inside_openssl_is_refused_until_it_is_whole(contexts: Contexts) -> None:
    ends = Ends(contexts, TLS13, "client")
    ends.peer.tls.write(b"cut record")
    wire = ends.peer.outgoing.read()
    ends.ours.bio_write(wire[:9])
    assert ends.read() == b""
    refused(errno.EBUSY, "a part of a record", ends.ours)
    ends.ours.bio_write(wire[9:])
    assert ends.read() == b"cut record"
    ends.check(ktls_fast.from_ssl(ends.ours))


def test_a_connection_that_has_ended_is_refused(contexts: Contexts) -> None:
    ends = Ends(contexts, TLS13, "client")
    ends.ours.shutdown()
    refused(errno.ENOTCONN, "close_notify", ends.ours)


def test_an_earlier_key_log_callback_is_called_too(contexts: Contexts) -> None:
    context, lines = context_of(contexts, TLS13), []
    context.set_keylog_callback(lambda _connection, line: lines.append(line))
    ktls_fast.prepare(context)
    connection, peer = SSL.Connection(context), BioEnd(contexts.client())
    connection.set_accept_state()
    peer.step(peer.tls.do_handshake)
    connection.bio_write(peer.outgoing.read())
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    assert any(line.startswith(b"SERVER_TRAFFIC_SECRET_0") for line in lines)
