"""What was accepted arrives, whatever lies unread when a connection is closed."""

from __future__ import annotations

import gc
import ssl
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ktls_fast import AlertReceivedError, Connection, HandshakeError, TrafficSecret
from tests.peers.ours import LOCAL_SEED, PEER_SEED, connect, paired, raw_peer, server_config
from tests.peers.pki import pki
from tests.peers.raw import (
    ALERT,
    CLOSE_NOTIFY,
    DATA,
    HANDSHAKE,
    NOT_REQUESTED,
    REQUESTED,
    RawPeer,
    key_update,
    secret_for,
    ticket,
)
from tests.peers.stdlib import client_context, server_context, ssl_connect
from tests.peers.support import DEADLINE, answer, listener, octal, port_of, socket_pair, start

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

MIB = 1 << 20
DROPPED_OPEN = pytest.mark.filterwarnings("ignore:unclosed <ktls_fast.Connection:ResourceWarning")


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    """The certificates as files."""
    pki().write_to(tmp_path)
    return tmp_path


def client_and_ssl_server(pems: Path) -> tuple[Connection, ssl.SSLSocket]:
    """Our client, which has read no ticket, and the standard library's server."""
    context = server_context(pems)
    with listener() as listening:
        accepted = start(lambda: _wrapped(context, answer(listening)))
        return connect(port_of(listening)), accepted.result(DEADLINE)


def server_and_ssl_client(pems: Path) -> tuple[Connection, ssl.SSLSocket]:
    """Our server and the standard library's client."""
    with listener() as listening:
        accepted = start(lambda: Connection.server(answer(listening), server_config()))
        client = ssl_connect(port_of(listening), client_context(pems))
        return accepted.result(DEADLINE), client


def _wrapped(context: ssl.SSLContext, sock: socket.socket) -> ssl.SSLSocket:
    return context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)


@contextmanager
def owned() -> Iterator[tuple[list[Connection], RawPeer]]:
    """A connection of which the list is the only owner, and its peer."""
    near, far = socket_pair()
    tx, rx = (TrafficSecret(0x1301, secret_for(0x1301, seed)) for seed in (LOCAL_SEED, PEER_SEED))
    with far:
        yield [Connection.from_secrets(near, server_side=True, tx=tx, rx=rx)], raw_peer(far)


def taken_of(conn: Connection, data: bytes) -> bytes:
    """What a connection that does not wait takes of ``data``, which is too much for TCP."""
    conn.setblocking(False)
    taken = 0
    with suppress(BlockingIOError):
        while taken < len(data):
            taken += conn.send(data[taken : taken + MIB])
    assert conn.unsent > 0
    return data[:taken]


def fail_behind(conn: Connection, data: bytes, error: type[BaseException]) -> None:
    """Leave the connection's block by ``error``, after ``data``."""
    with conn:
        if data:
            conn.sendall(data)
        raise error


def read_to_close_notify(sock: ssl.SSLSocket, size: int = 65536) -> bytes:
    """Everything until close_notify, in pieces; FIN without it is an ``ssl.SSLEOFError``."""
    return b"".join(iter(lambda: sock.recv(size), b""))


def eventually(holds: Callable[[], bool]) -> bool:
    """Look again and again until the deadline."""
    end = time.monotonic() + DEADLINE
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads_named(name: str) -> int:
    """Threads of this process with such a name."""
    names = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            names += (task / "comm").read_text().strip() == name
    return names


def test_all_of_sendall_arrives_though_tickets_lie_unread(pems: Path) -> None:
    data = octal(12 * MIB)
    conn, server = client_and_ssl_server(pems)

    def send() -> None:
        with conn:
            conn.sendall(data)

    with server:
        sending = start(send)
        # Until TCP is full, and longer: the reader begins in the middle.
        assert server.recv(1) == data[:1]
        assert read_to_close_notify(server) == data[1:]
        sending.result(DEADLINE)


@pytest.mark.parametrize("size", [1000, 65536])
def test_what_waits_in_our_own_buffer_arrives_however_small_the_pieces(
    pems: Path, size: int
) -> None:
    conn, server = client_and_ssl_server(pems)
    with server:
        taken = taken_of(conn, octal(12 * MIB))
        conn.close()
        assert read_to_close_notify(server, size) == taken


def test_answer_arrives_though_the_request_lies_unread(pems: Path) -> None:
    conn, client = server_and_ssl_client(pems)
    with client:
        client.send(octal(50_000))
        taken = taken_of(conn, octal(12 * MIB))
        conn.close()
        client.send(octal(50_000))
        assert read_to_close_notify(client) == taken


UNREAD = {
    "ticket": [(ticket(), HANDSHAKE)],
    "close_notify": [(CLOSE_NOTIFY, ALERT)],
    "data": [(octal(16_000), DATA)] * 20,
    "key_update": [(key_update(REQUESTED), HANDSHAKE)],
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", UNREAD)
def test_unread_records_destroy_nothing(name: str, when: str) -> None:
    with paired() as (conn, peer):
        records = b"".join(peer.tx.seal(*record) for record in UNREAD[name])
        if when == "before":
            peer.sock.sendall(records)
        taken = taken_of(conn, octal(8 * MIB))
        conn.close()
        if when == "after":
            peer.sock.sendall(records)
        assert peer.drain() == (taken, [(1, 0)])


@pytest.mark.parametrize("records", [b"", b"no record at all, and much of it" * 10_000])
@DROPPED_OPEN
def test_dropped_without_close_it_delivers_all_and_says_nothing(records: bytes) -> None:
    with owned() as (connections, peer):
        peer.sock.sendall(records)
        taken = taken_of(connections[0], octal(8 * MIB))
        connections.clear()
        gc.collect()
        assert peer.drain() == (taken, [])


@DROPPED_OPEN
def test_dropped_in_a_thread_it_delivers_all() -> None:
    with owned() as (connections, peer):
        peer.send(ticket(), HANDSHAKE)
        taken = taken_of(connections[0], octal(8 * MIB))
        start(connections.clear).result(DEADLINE)
        assert peer.drain() == (taken, [])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exception_tells_the_peer_that_something_is_missing(error: type[BaseException]) -> None:
    with paired() as (conn, peer):
        with pytest.raises(error):
            fail_behind(conn, b"half", error)
        assert peer.drain() == (b"half", [(2, 80)])


def test_exception_tells_the_standard_library_as_well(pems: Path) -> None:
    conn, server = client_and_ssl_server(pems)
    with server:
        with pytest.raises(ZeroDivisionError):
            fail_behind(conn, b"half", ZeroDivisionError)
        assert server.recv(100) == b"half"
        with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
            server.recv(100)


def test_exception_behind_close_notify_takes_nothing_back() -> None:
    with paired() as (conn, peer):
        conn.sendall(b"all")
        conn.close_notify()
        with pytest.raises(ZeroDivisionError):
            fail_behind(conn, b"", ZeroDivisionError)
        assert peer.drain() == (b"all", [(1, 0)])


def test_exception_loses_nothing_of_what_was_accepted() -> None:
    with paired() as (conn, peer):
        peer.send(ticket(), HANDSHAKE)
        taken = taken_of(conn, octal(8 * MIB))
        with pytest.raises(ZeroDivisionError):
            fail_behind(conn, b"", ZeroDivisionError)
        assert peer.drain() == (taken, [(2, 80)])


def test_error_of_the_peer_is_not_answered_twice() -> None:
    with paired() as (conn, peer):
        peer.send(b"\x02\x28", ALERT)
        with pytest.raises(AlertReceivedError), conn:
            conn.read()
        assert peer.drain() == (b"", [])


def test_close_wakes_a_reader_and_loses_nothing() -> None:
    with paired() as (conn, peer):
        taken = taken_of(conn, octal(8 * MIB))
        conn.setblocking(True)
        reading = start(conn.read)
        # The reader has read it, so that it waits, or is about to.
        peer.send_key_update(NOT_REQUESTED)
        assert eventually(lambda: conn.rx_generation == 1)
        conn.close()
        assert isinstance(reading.exception(DEADLINE), OSError)
        peer.send(b"what comes now destroys nothing either")
        assert peer.drain() == (taken, [(1, 0)])


def test_close_wakes_a_writer_and_loses_nothing_of_what_was_sealed() -> None:
    with paired() as (conn, peer):
        peer.send(ticket(), HANDSHAKE)
        data = octal(50 * MIB)
        sending = start(lambda: conn.sendall(data))
        assert eventually(lambda: conn.unsent > 0)
        conn.close()
        assert isinstance(sending.exception(DEADLINE), OSError)
        received, alerts = peer.drain()
        assert alerts == [(1, 0)]
        assert len(received) > MIB
        assert data.startswith(received)


def test_close_waits_for_nobody_and_keeps_no_descriptor_of_a_peer_that_is_done() -> None:
    with paired() as (conn, _):  # the thread is there then, with its descriptors
        conn.close()
    assert eventually(lambda: threads_named("ktls-send") == 0)
    before = open_descriptors()
    for _ in range(20):
        with paired() as (conn, peer):
            taken = taken_of(conn, octal(8 * MIB))
            conn.close()
            assert conn.fileno() == -1
            assert peer.drain() == (taken, [(1, 0)])
    assert eventually(lambda: open_descriptors() <= before)


def test_failed_handshake_lets_the_peer_read_its_alert_though_more_lies_unread() -> None:
    near, far = socket_pair()
    with far:
        far.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10_000)
        with pytest.raises(HandshakeError):
            Connection.server(near, server_config())
        far.sendall(b"and more")
        answered = b"".join(iter(lambda: far.recv(100), b""))
        assert answered[:1] == bytes([ALERT])


@pytest.mark.parametrize("tickets", ["unread", "late"])
@pytest.mark.parametrize("ending", ["close", "with", "exception", "drop", "global"])
def test_interpreter_exits_behind_the_last_byte(pems: Path, ending: str, tickets: str) -> None:
    """The server does its handshake when the client has gone on, or it has tickets to be read."""
    endings = {
        "close": "conn.sendall(data); conn.close()",
        "with": "with conn: conn.sendall(data)",
        "exception": "with conn:\n    conn.sendall(data)\n    raise SystemExit",
        "drop": "conn.sendall(data); del conn",
        "global": "conn.sendall(data)",
    }
    program = textwrap.dedent(
        """
        import sys, ktls_fast
        config = ktls_fast.ClientConfig(open(sys.argv[2], "rb").read())
        conn = ktls_fast.connect(("127.0.0.1", int(sys.argv[1])), config, server_name="localhost")
        data = bytes(3_000_000)
        """
    )
    context = server_context(pems)
    with listener() as listening:
        command = [sys.executable, "-c", program + endings[ending], str(port_of(listening))]
        client = subprocess.Popen([*command, str(pems / "roots.pem")], stderr=subprocess.PIPE)
        with answer(listening) as sock, _wrapped(context, sock) as server:
            received = server.recv(1)
            if tickets == "late":
                server.send(octal(16_000))
            try:
                while data := server.recv(65536):
                    received += data
                clean = True
            except ssl.SSLError:
                clean = False
        assert received == bytes(3_000_000)
        assert clean == (ending in ("close", "with"))
        assert client.communicate(timeout=DEADLINE)[1] == b""
