"""The thread that sends what is left of closed sockets: its limits, and forks."""

from __future__ import annotations

import resource
import select
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import connect_pair
from tests.connection_delivery import eventually, open_descriptors, send_until_full, threads_named
from tests.forked import ForkedCall, in_child
from tests.ktls_ends import DONTWAIT, TLS_TX, attach, generation, install
from tests.peers.ours import paired
from tests.peers.raw import HANDSHAKE, ticket
from tests.peers.support import DEADLINE, octal, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ktls_fast
    from ktls_fast import Connection


MIB = 1 << 20


THREAD = "ktls-send"


STALLED = 150


@pytest.fixture(autouse=True)
def idle() -> None:
    """Wait until the thread of an earlier test has ended."""
    assert eventually(lambda: threads_named(THREAD) == 0)


def stalled_socket() -> tuple[ktls_fast.KtlsSocket, socket.socket]:
    """Return a ``KtlsSocket`` whose sealed records do not fit into TCP's buffers, and its peer."""
    near, far = connect_pair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sender = attach(near)
    install(sender, TLS_TX, generation(0))
    fill(sender)
    return sender, far


def fill(sender: ktls_fast.KtlsSocket) -> None:
    """Send until there is no room."""
    with suppress(BlockingIOError):
        while True:
            sender.send(bytes(16384), DONTWAIT)


def name_of(conn: Connection) -> str:
    """Its socket as ``/proc`` names it, in parent and child alike."""
    return str(Path(f"/proc/self/fd/{conn.fileno()}").readlink())


def open_files() -> set[str]:
    """Return what the descriptors of this process refer to."""
    names = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            names.add(str(descriptor.readlink()))
    return names


def read_to_end(sock: socket.socket) -> int:
    """Read up to FIN, and return the number of bytes."""
    size = 0
    while piece := sock.recv(1 << 16):
        size += len(piece)
    return size


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Keep the process from opening descriptors during the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = [int(link.name) for link in Path("/proc/self/fd").iterdir()]
    free = next(number for number in range(max(used) + 2) if number not in used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_stalled_sockets_share_one_thread() -> None:
    before = open_descriptors()
    with ExitStack() as stack:
        pairs = [stalled_socket() for _ in range(STALLED)]
        for sender, far in pairs:
            stack.enter_context(far)
            stack.enter_context(sender)

        def all_are_stalled() -> bool:
            # TCP makes room for a while. The thread has its own descriptor for each.
            for sender, _ in pairs:
                fill(sender)
            return open_descriptors() >= before + 3 * STALLED

        assert eventually(all_are_stalled)
        assert threads_named(THREAD) == 1
        threads = len(list(Path("/proc/self/task").iterdir()))
        for sender, _ in pairs:
            sender.close()
        assert len(list(Path("/proc/self/task").iterdir())) <= threads
        # Whole records, and all of them: each is 16384 bytes, header, type and tag.
        for _, far in pairs:
            size = read_to_end(far)
            assert size > 0
            assert size % (16384 + 22) == 0


def test_thread_ends_when_nothing_is_left() -> None:
    sender, far = stalled_socket()
    with far:
        assert eventually(lambda: threads_named(THREAD) == 1)
        sender.close()
        read_to_end(far)
        assert eventually(lambda: threads_named(THREAD) == 0)


def test_close_delivers_by_itself_without_a_descriptor_for_the_thread() -> None:
    with paired() as (conn, peer):
        peer.send(ticket(), HANDSHAKE)
        with no_descriptor_left():
            taken = send_until_full(conn, octal(8 * MIB))
            received = start(peer.drain)
            conn.close()
            assert threads_named(THREAD) == 0
        assert received.result(DEADLINE) == (taken, [(1, 0)])


def test_close_is_bounded_without_a_descriptor_for_the_thread() -> None:
    with paired() as (conn, peer):
        with no_descriptor_left():
            taken = send_until_full(conn, octal(8 * MIB))
            conn.close()
        # It did not wait forever, and incomplete data does not look complete.
        with suppress(ConnectionResetError):
            assert peer.drain() == (taken, [(1, 0)])


def test_the_parent_continues_after_a_fork_and_the_child_sends_nothing() -> None:
    with paired() as (conn, peer):
        taken = send_until_full(conn, octal(8 * MIB))
        its_socket = name_of(conn)
        conn.close()
        assert its_socket in open_files()
        assert in_child(lambda: its_socket in open_files()) == "False"
        child = ForkedCall(lambda: "there")
        assert peer.drain() == (taken, [(1, 0)])
        assert child.answer() == "'there'"


def test_a_fork_while_the_thread_sends_leaves_no_copy_of_a_descriptor() -> None:
    with ExitStack() as stack:
        pairs = [stack.enter_context(paired()) for _ in range(8)]
        sent = [send_until_full(conn, octal(8 * MIB)) for conn, _ in pairs]
        sockets = {name_of(conn) for conn, _ in pairs}
        for conn, _ in pairs:
            conn.close()
        with ThreadPoolExecutor(len(pairs)) as readers:
            ends = [readers.submit(peer.drain) for _, peer in pairs]
            copies = [in_child(lambda: sockets & open_files()) for _ in range(20)]
        assert copies == ["set()"] * 20
        assert [end.result() for end in ends] == [(taken, [(1, 0)]) for taken in sent]


def test_a_child_process_has_its_own_thread() -> None:
    def deliver() -> bool:
        with paired() as (conn, peer):
            taken = send_until_full(conn, octal(8 * MIB))
            conn.close()
            started = eventually(lambda: threads_named(THREAD) == 1)
            return started and peer.drain() == (taken, [(1, 0)])

    with paired() as (conn, peer):
        taken = send_until_full(conn, octal(8 * MIB))
        conn.close()
        assert in_child(deliver) == "True"
        assert peer.drain() == (taken, [(1, 0)])


def test_a_reset_requested_by_so_linger_is_sent_at_once() -> None:
    with paired() as (conn, peer):
        set_option(conn, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.sendall(b"data")
        conn.close()
        assert threads_named(THREAD) == 0
        with pytest.raises(ConnectionResetError):
            peer.drain()


def test_reset_by_so_linger_does_not_wait_for_the_background() -> None:
    """The system sends the reset when the last descriptor of the socket is closed."""
    with paired() as (conn, peer):
        set_option(conn, socket.SO_LINGER, struct.pack("ii", 1, 0))
        send_until_full(conn, octal(8 * MIB))
        assert eventually(lambda: threads_named(THREAD) == 1)
        conn.close()
        assert hangs_up(peer.sock)


def test_a_reset_by_so_linger_drops_what_a_ktls_socket_has_sealed() -> None:
    sender, far = stalled_socket()
    with far:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sender.close()
        assert hangs_up(far)


def hangs_up(sock: socket.socket) -> bool:
    """Learn of a reset without reading, which would make room for more."""
    waiting = select.poll()
    waiting.register(sock, 0)
    return bool(waiting.poll(5000))


def set_option(conn: Connection, option: int, value: bytes) -> None:
    """Set an option of the socket beneath."""
    sock = socket.socket(fileno=conn.fileno())
    sock.setsockopt(socket.SOL_SOCKET, option, value)
    sock.detach()
