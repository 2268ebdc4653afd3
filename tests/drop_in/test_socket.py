"""``ktls_fast.ssl`` over sockets."""

import gc
import io
import select
import socket
import ssl as stdlib_ssl
import warnings
import weakref
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ktls_fast import ssl
from tests.drop_in.contexts import VERSIONS, Contexts, connected, is_ours
from tests.peers.support import listener, port_of, socket_pair, start

MODULES = pytest.mark.parametrize("module", [ssl, stdlib_ssl], ids=["ours", "stdlib"])


def read_exactly(sock: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"{len(data)} of {size} bytes"
        data += piece
    return bytes(data)


@pytest.mark.parametrize("version", VERSIONS)
@MODULES
def test_data_arrives_in_both_directions(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, module: ModuleType
) -> None:
    with connected(contexts.client(version), contexts.server(version, module)) as (ours, theirs):
        assert is_ours(ours)
        for size in (1, 16385, 1_000_000):
            sending = start(partial(ours.sendall, b"q" * size))
            assert read_exactly(theirs, size) == b"q" * size
            sending.result(60)
            sending = start(partial(theirs.sendall, b"a" * size))
            assert read_exactly(ours, size) == b"a" * size
            sending.result(60)


def test_one_recv_into_returns_many_records(contexts: Contexts) -> None:
    with connected(contexts.client(), contexts.server()) as (ours, theirs):
        for _ in range(10):
            theirs.sendall(b"x" * 1000)
        buffer = bytearray(1 << 18)
        # All of it is in the socket: TCP on the loopback delivers before sendall returns.
        assert ours.recv_into(buffer) == 10_000


def test_a_program_that_selects_before_each_read_gets_everything(contexts: Contexts) -> None:
    size = 400_000
    with connected(contexts.client(), contexts.server(module=stdlib_ssl)) as (ours, theirs):
        sending = start(lambda: theirs.sendall(b"s" * size))
        for n in (16384, 100, 20_000, 70_000):
            wanted = size // 4
            while wanted:
                ready, _, _ = select.select([ours], [], [], 60)
                assert ready
                got = ours.recv(min(n, wanted))
                wanted -= len(got)
                while ours.pending() and wanted:
                    wanted -= len(ours.recv(min(n, wanted)))
        sending.result(60)


@MODULES
@pytest.mark.parametrize("n", [16384, 65536])
def test_nothing_whole_stays_inside_after_a_read_with_room(
    contexts: Contexts, module: ModuleType, n: int
) -> None:
    """As with OpenSSL: what a program does not see in ``pending`` it sees in ``select``."""
    with connected(contexts.client(module=module), contexts.server()) as (ours, theirs):
        sending = start(lambda: [theirs.sendall(b"r" * 16384) for _ in range(20)])
        got = 0
        while got < 20 * 16384:
            assert select.select([ours], [], [], 60)[0], f"stuck after {got} bytes"
            got += len(ours.recv(n))
            assert ours.pending() == 0
        sending.result(60)


@MODULES
def test_a_non_blocking_read_without_data_wants_read(
    contexts: Contexts, module: ModuleType
) -> None:
    with connected(contexts.client(module=module), contexts.server()) as (ours, theirs):
        theirs.sendall(b"one")
        assert ours.recv(10) == b"one"
        ours.setblocking(False)
        for _ in range(3):
            with pytest.raises(ssl.SSLWantReadError):
                ours.recv(10)
        theirs.sendall(b"two")
        assert select.select([ours], [], [], 60)[0]
        assert ours.recv(10) == b"two"


@MODULES
def test_a_timeout_ends_reads_and_writes(contexts: Contexts, module: ModuleType) -> None:
    with connected(contexts.client(module=module), contexts.server()) as (ours, _):
        ours.settimeout(0.01)
        with pytest.raises(TimeoutError, match="read operation timed out"):
            ours.recv(10)
        with pytest.raises(TimeoutError, match="write operation timed out"):
            ours.sendall(b"w" * 50_000_000)


@MODULES
def test_a_handshake_has_a_timeout(contexts: Contexts, module: ModuleType) -> None:
    near, far = socket_pair()
    with far:
        near.settimeout(0.01)
        with pytest.raises(TimeoutError):
            contexts.client(module=module).wrap_socket(near, server_hostname="localhost")


@MODULES
@pytest.mark.parametrize("version", VERSIONS)
def test_a_handshake_without_blocking(
    contexts: Contexts, module: ModuleType, version: stdlib_ssl.TLSVersion
) -> None:
    near, far = socket_pair()
    near.setblocking(False)
    far.setblocking(False)
    ends = [
        contexts.client(version).wrap_socket(
            near, server_hostname="localhost", do_handshake_on_connect=False
        ),
        contexts.server(version, module).wrap_socket(
            far, server_side=True, do_handshake_on_connect=False
        ),
    ]
    waiting = list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    for end in ends:
        end.settimeout(60)
    ends[0].sendall(b"hello")
    assert ends[1].recv(10) == b"hello"
    for end in ends:
        end.close()


@MODULES
def test_unwrap_continues_in_the_clear(contexts: Contexts, module: ModuleType) -> None:
    with connected(contexts.client(), contexts.server(module=module)) as (ours, theirs):
        theirs.sendall(b"tls")
        assert ours.recv(10) == b"tls"
        closing = start(theirs.unwrap)
        plain = ours.unwrap()
        theirs_plain = closing.result(60)
        plain.sendall(b"clear")
        assert theirs_plain.recv(10) == b"clear"
        theirs_plain.sendall(b"answer")
        assert plain.recv(10) == b"answer"


@MODULES
def test_a_file_object_reads_lines(contexts: Contexts, module: ModuleType) -> None:
    with connected(contexts.client(module=module), contexts.server()) as (ours, theirs):
        theirs.sendall(b"first\nsecond\n" + b"z" * 50_000 + b"\n")
        with ours.makefile("rwb") as file:
            assert file.readline() == b"first\n"
            assert file.readline() == b"second\n"
            assert file.readline() == b"z" * 50_000 + b"\n"
            file.write(b"written")
            file.flush()
        assert theirs.recv(10) == b"written"


@MODULES
def test_sendfile_sends_a_file(contexts: Contexts, module: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"f" * 300_000)
    with connected(contexts.client(module=module), contexts.server()) as (ours, theirs):
        with path.open("rb") as file:
            sending = start(lambda: ours.sendfile(file, 5))
            assert read_exactly(theirs, 299_995) == b"f" * 299_995
            assert sending.result(60) == 299_995
        assert ours.sendfile(io.BytesIO(b"memory")) == 6
        assert theirs.recv(10) == b"memory"


def test_a_dropped_socket_warns_and_closes(contexts: Contexts) -> None:
    near, far = socket_pair()
    accepting = start(lambda: contexts.server().wrap_socket(far, server_side=True))
    ours = contexts.client().wrap_socket(near, server_hostname="localhost")
    assert is_ours(ours)
    alive = weakref.ref(ours)
    with accepting.result(60) as theirs:
        theirs.sendall(b"read")  # behind the session tickets
        assert ours.recv(10) == b"read"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gc.disable()
            try:
                del ours
            finally:
                gc.enable()
        assert [warning.category for warning in caught] == [ResourceWarning]
        caught.clear()  # refers to the socket
        assert alive() is None, "a reference cycle"
        assert theirs.recv(1) == b""


@MODULES
def test_connect_and_accept_wrap_too(contexts: Contexts, module: ModuleType) -> None:
    with listener() as plain:
        server = contexts.server().wrap_socket(plain, server_side=True)
        accepting = start(server.accept)
        with contexts.client(module=module).wrap_socket(
            socket.socket(), server_hostname="localhost"
        ) as ours:
            ours.connect(("127.0.0.1", port_of(server)))
            theirs, _ = accepting.result(60)
            with theirs:
                assert is_ours(theirs)
                theirs.sendall(b"accepted")
                assert ours.recv(10) == b"accepted"
        server.close()


@MODULES
def test_eof_without_close_notify(contexts: Contexts, module: ModuleType) -> None:
    for ragged in (True, False):
        client = contexts.client(module=module)
        options = {"suppress_ragged_eofs": ragged}
        with connected(client, contexts.server(), **options) as (ours, theirs):
            theirs.sendall(b"data")
            theirs.shutdown(socket.SHUT_WR)
            assert ours.recv(10) == b"data"
            if ragged:
                assert ours.recv(10) == b""
            else:
                with pytest.raises(ssl.SSLEOFError) as caught:
                    ours.recv(10)
                assert caught.value.reason == "UNEXPECTED_EOF_WHILE_READING"


def test_leftovers_behind_the_finished_are_visible_to_select(contexts: Contexts) -> None:
    """A server that sends at once: its tickets and data follow its handshake in one piece."""
    near, far = socket_pair()
    server = contexts.server(module=stdlib_ssl)

    def serve() -> Any:
        sock = server.wrap_socket(far, server_side=True)
        sock.sendall(b"banner")
        return sock

    serving = start(serve)
    with contexts.client().wrap_socket(near, server_hostname="localhost") as ours:
        theirs = serving.result(60)
        assert select.select([ours], [], [], 60)[0]
        assert ours.recv(100) == b"banner"
        theirs.close()
