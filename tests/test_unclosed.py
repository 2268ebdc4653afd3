"""What is dropped open warns, as a ``socket.socket`` does; and weak references."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tracemalloc
import warnings
import weakref
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import Connection, KtlsSocket, OffloadQueue, Relay, Suite, TrafficSecret
from tests.forked import in_child
from tests.ktls_ends import TLS_TX, generation, install

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.ktls_ends import MakePair

    Make = Callable[[socket.socket], Connection | KtlsSocket]


def secret(number: int) -> TrafficSecret:
    return TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([number]) * 32)


def connection(sock: socket.socket) -> Connection:
    return Connection.from_secrets(sock, server_side=False, tx=secret(1), rx=secret(2))


def ktls_socket(sock: socket.socket) -> KtlsSocket:
    return KtlsSocket(sock)


def keyed(sock: socket.socket) -> KtlsSocket:
    made = KtlsSocket(sock)
    made.setsockopt(6, 31, b"tls")
    install(made, TLS_TX, generation(0))
    return made


MAKERS = [connection, ktls_socket, keyed]


@pytest.mark.parametrize("make", MAKERS)
def test_an_object_dropped_open_warns_with_its_descriptor(tcp_pair: MakePair, make: Make) -> None:
    made = make(tcp_pair()[0])
    kind, number = type(made).__name__, made.fileno()
    with pytest.warns(ResourceWarning, match=rf"^unclosed <ktls_fast\.{kind} fd={number} ") as all_:
        del made
    assert len(all_) == 1
    assert all_[0].filename == __file__


@pytest.mark.parametrize("make", MAKERS)
def test_tracemalloc_shows_where_it_was_made(tcp_pair: MakePair, make: Make) -> None:
    tracemalloc.start(5)
    try:
        made = make(tcp_pair()[0])
        with pytest.warns(ResourceWarning) as all_:
            del made
        traceback = tracemalloc.get_object_traceback(all_[0].source)
    finally:
        tracemalloc.stop()
    assert traceback is not None
    assert any(frame.filename == __file__ for frame in traceback)


@pytest.mark.parametrize("make", MAKERS)
def test_a_closed_object_does_not_warn(tcp_pair: MakePair, make: Make) -> None:
    with make(tcp_pair()[0]):
        pass
    made = make(tcp_pair()[0])
    made.close()
    del made


def test_a_drop_does_not_affect_a_pending_exception(tcp_pair: MakePair) -> None:
    def fail() -> None:
        made = connection(tcp_pair()[0])
        raise KeyError(made.fileno())

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        with pytest.raises(KeyError):
            fail()


def test_a_failed_handshake_leaves_nothing_open(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    far.close()
    with pytest.raises(OSError, match=r"."):
        Connection.client(near, ktls_fast.ClientConfig(), "localhost")


@pytest.mark.parametrize("make", MAKERS)
def test_an_object_left_to_a_child_is_dropped_silently(tcp_pair: MakePair, make: Make) -> None:
    made = make(tcp_pair()[0])
    assert in_child(made.fileno) == str(made.fileno())
    del made


def test_a_relay_closes_what_was_dropped(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    with Relay() as relay:
        made = connection(near)
        relay.add(made, far)
        del made


def test_the_interpreter_exits_with_open_objects() -> None:
    code = (
        "import socket; from ktls_fast import KtlsSocket; a, b = socket.socketpair();"
        "k = KtlsSocket(a); b.close(); import atexit; atexit.register(print, 'end')"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
    assert done.stdout == "end\n"


def test_every_public_class_supports_weak_references() -> None:
    """Named tuples and numbers do not, like those of Python itself."""
    public = [getattr(ktls_fast, name) for name in ktls_fast.__all__]
    classes = [value for value in public if inspect.isclass(value)]
    assert len(classes) > 20
    for each in classes:
        if not issubclass(each, tuple | int):
            assert each.__weakrefoffset__, each  # below zero where Python manages the list


def test_a_weak_reference_dies_with_its_object(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    for made in (connection(near), keyed(far), OffloadQueue(0), secret(1)):
        gone = weakref.ref(made)
        assert gone() is made
        if isinstance(made, Connection | KtlsSocket):
            made.close()
    del made
    assert gone() is None
