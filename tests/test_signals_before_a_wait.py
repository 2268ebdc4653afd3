"""A signal just before a receive waits: it interrupts nothing, and its handler runs soon."""

import signal
import socket
from collections.abc import Callable, Iterator
from random import Random

import pytest

from ktls_fast import Connection, KtlsSocket, Suite, TrafficSecret
from tests.conftest import connect_pair
from tests.ktls_ends import TCP_ULP, TLS_RX, closed_at_the_end, generation, install

TRIES = 20
LONGEST = 30e-6
"""From the timer's start: most calls are about to wait then."""

Receive = Callable[[], object]


class StopError(Exception):
    """What the handler raises."""


def ktls_socket(near: socket.socket) -> KtlsSocket:
    receiver = closed_at_the_end(KtlsSocket(near))
    receiver.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    install(receiver, TLS_RX, generation(0))
    return receiver


def plain(near: socket.socket) -> Receive:
    receiver = closed_at_the_end(KtlsSocket(near))
    return lambda: receiver.recv(100)


def recv(near: socket.socket) -> Receive:
    receiver = ktls_socket(near)
    return lambda: receiver.recv(100)


def recv_of_all(near: socket.socket) -> Receive:
    receiver = ktls_socket(near)
    return lambda: receiver.recv(100, socket.MSG_WAITALL)


def recvmsg_into(near: socket.socket) -> Receive:
    receiver = ktls_socket(near)
    return lambda: receiver.recvmsg_into([bytearray(9)], 64)


def read(near: socket.socket) -> Receive:
    tx, rx = (TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([n]) * 32) for n in (1, 2))
    return Connection.from_secrets(near, server_side=False, tx=tx, rx=rx).read


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise StopError

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("receiver", [plain, recv, recv_of_all, recvmsg_into, read])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(40)
def test_a_signal_just_before_a_receive_waits_ends_it(
    receiver: Callable[[socket.socket], Receive], timeout: float | None
) -> None:
    near, wire = connect_pair()
    near.settimeout(timeout)
    random = Random(7)
    with wire:
        receive = receiver(near)

        def receive_with_a_timer() -> None:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, LONGEST))
            receive()

        for _ in range(TRIES):
            with pytest.raises(StopError):
                receive_with_a_timer()
