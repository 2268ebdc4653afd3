"""A signal just before a call waits: it interrupts nothing, and its handler runs soon."""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from random import Random
from typing import BinaryIO

import pytest

from ktls_fast import Connection, KtlsSocket, Suite, TrafficSecret
from tests.conftest import connect_pair
from tests.ktls_ends import TCP_ULP, TLS_RX, TLS_TX, closed_at_the_end, generation, install

TRIES = 20
LONGEST = 30e-6
"""From the timer's start: most calls are about to wait then."""

Call = Callable[[], object]


class StopError(Exception):
    """What the handler raises."""


def ktls_socket(near: socket.socket) -> KtlsSocket:
    receiver = closed_at_the_end(KtlsSocket(near))
    receiver.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    install(receiver, TLS_RX, generation(0))
    return receiver


def plain(near: socket.socket) -> Call:
    receiver = closed_at_the_end(KtlsSocket(near))
    return lambda: receiver.recv(100)


def recv(near: socket.socket) -> Call:
    receiver = ktls_socket(near)
    return lambda: receiver.recv(100)


def recv_of_all(near: socket.socket) -> Call:
    receiver = ktls_socket(near)
    return lambda: receiver.recv(100, socket.MSG_WAITALL)


def recvmsg_into(near: socket.socket) -> Call:
    receiver = ktls_socket(near)
    return lambda: receiver.recvmsg_into([bytearray(9)], 64)


def read(near: socket.socket) -> Call:
    tx, rx = (TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([n]) * 32) for n in (1, 2))
    return Connection.from_secrets(near, server_side=False, tx=tx, rx=rx).read


def full(near: socket.socket, key: Callable[[KtlsSocket], None]) -> KtlsSocket:
    """Return a socket whose peer reads nothing, and whose buffers are full."""
    timeout = near.gettimeout()
    sender = ktls_socket(near)
    key(sender)
    sender.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            sender.send(bytes(16384))
    sender.settimeout(timeout)
    return sender


def send(near: socket.socket) -> Call:
    sender = full(near, lambda sender: install(sender, TLS_TX, generation(0)))
    return lambda: sender.send(b"data")


def send_without_a_key(near: socket.socket) -> Call:
    sender = full(near, lambda _: None)
    return lambda: sender.sendmsg([b"data"])


def poll(near: socket.socket) -> Call:
    polled, timeout = ktls_socket(near), near.gettimeout()
    return lambda: polled.poll(select.POLLIN, timeout)


def splice_to(near: socket.socket) -> Call:
    receiver, ends = ktls_socket(near), pipe()
    return lambda: receiver.splice_to(ends[1], 100)


def splice_from(near: socket.socket) -> Call:
    sender, ends = ktls_socket(near), pipe()
    install(sender, TLS_TX, generation(0))
    return lambda: sender.splice_from(ends[0], 100)


def pipe() -> tuple[BinaryIO, BinaryIO]:
    """Return both ends of an empty pipe, which are closed when dropped."""
    out, into = os.pipe()
    return os.fdopen(out, "rb", 0), os.fdopen(into, "wb", 0)


RECEIVING = [plain, recv, recv_of_all, recvmsg_into, read]
OTHERS = [send, send_without_a_key, poll, splice_to, splice_from]


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise StopError

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("make", RECEIVING + OTHERS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(40)
def test_a_signal_just_before_a_call_waits_ends_it(
    make: Callable[[socket.socket], Call], timeout: float | None
) -> None:
    near, wire = connect_pair()
    near.settimeout(timeout)
    random = Random(7)
    with wire:
        call = make(near)

        def call_with_a_timer() -> None:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, LONGEST))
            while True:
                # TCP may have room for another send.
                call()

        for _ in range(TRIES):
            with pytest.raises(StopError):
                call_with_a_timer()
