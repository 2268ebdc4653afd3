"""Writing over sockets with ``ktls_fast.ssl``: what TCP refuses, and who sends the answers."""

import contextlib
import gc
import select
import ssl as stdlib_ssl
import weakref
from types import ModuleType
from typing import Any

import pytest

from ktls_fast import ssl
from tests.drop_in.contexts import Contexts, connected, is_ours
from tests.drop_in.test_socket import read_exactly
from tests.peers.support import start

MODULES = pytest.mark.parametrize("module", [ssl, stdlib_ssl], ids=["ours", "stdlib"])


def fill(sock: Any, data: bytes) -> int:
    """Send until TCP takes nothing; return the number of bytes that were reported as sent."""
    sent = 0
    try:
        while True:
            sent += sock.send(data)
    except ssl.SSLWantWriteError:
        return sent


@MODULES
@pytest.mark.parametrize("size", [1000, 16384, 1_000_000])
def test_a_refused_send_is_repeated_without_loss(
    contexts: Contexts, module: ModuleType, size: int
) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    with connected(contexts.client(module=module), contexts.server()) as (ours, theirs):
        ours.setblocking(False)
        position, total = 0, 20_000_000 // size * size
        received = bytearray()
        theirs.setblocking(False)
        while position < total or len(received) < total:
            if position < total:
                offset = position % size
                with contextlib.suppress(ssl.SSLWantWriteError):
                    position += ours.send(data[offset:])
            with contextlib.suppress(ssl.SSLWantReadError):
                received += theirs.recv(1 << 20)
        assert received == data * (total // size)


@MODULES
def test_a_refused_send_reports_only_what_tcp_has(contexts: Contexts, module: ModuleType) -> None:
    with connected(contexts.client(module=module), contexts.server()) as (ours, theirs):
        ours.setblocking(False)
        sent = fill(ours, b"d" * 10_000)
        received = len(read_exactly(theirs, sent))
        assert received == sent
        ours.settimeout(60)
        assert ours.send(b"d" * 10_000) == 10_000
        assert read_exactly(theirs, 10_000) == b"d" * 10_000


@MODULES
def test_a_shorter_repetition_is_refused(contexts: Contexts, module: ModuleType) -> None:
    with connected(contexts.client(module=module), contexts.server()) as (ours, _):
        ours.setblocking(False)
        fill(ours, b"d" * 10_000)
        with pytest.raises(ssl.SSLError) as caught:
            ours.send(b"d")
        assert caught.value.reason in {"BAD_WRITE_RETRY", "BAD_LENGTH"}


def test_key_updates_of_a_peer_are_answered_while_another_thread_writes(
    contexts: Contexts,
) -> None:
    with connected(contexts.client(), contexts.server()) as (ours, theirs):
        total = 3_000_000

        def send() -> None:
            for _ in range(total // 100_000):
                ours.sendall(b"w" * 100_000)

        sending = start(send)
        reading = start(lambda: [ours.recv(100) for _ in range(20)])
        received = 0
        for _ in range(20):
            theirs.key_update(request_peer=True)
            theirs.sendall(b"k" * 100)
            received += len(read_exactly(theirs, total // 20))
        sending.result(60)
        reading.result(60)
        assert received == total
        assert theirs.generation.tx == 20
        assert ours.generation.rx == 20


def test_an_answer_that_tcp_refuses_is_sent_by_the_next_call(contexts: Contexts) -> None:
    with connected(contexts.client(), contexts.server()) as (ours, theirs):
        ours.setblocking(False)
        sent = fill(ours, b"d" * 10_000)
        theirs.key_update(request_peer=True)
        theirs.sendall(b"!")
        assert select.select([ours], [], [], 60)[0]
        assert ours.recv(10) == b"!"
        read_exactly(theirs, sent)
        ours.settimeout(60)
        ours.send(b"d" * 10_000)
        assert len(read_exactly(theirs, 10_000)) == 10_000
        ours.sendall(b"e")
        assert read_exactly(theirs, 1) == b"e"
        assert theirs.generation == (1, 1)


def test_the_engine_of_a_dropped_socket_is_freed_without_the_collector(contexts: Contexts) -> None:
    with connected(contexts.client(module=ssl), contexts.server(module=ssl)) as ends:
        engines = [weakref.ref(end._sslobj.carrier) for end in ends]
        assert all(map(is_ours, ends))
    gc.disable()
    try:
        del ends
        assert [engine() for engine in engines] == [None, None]
    finally:
        gc.enable()
