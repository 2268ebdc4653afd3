"""Signals and timeouts while a KtlsSocket sends: no handler waits for a peer that does not read."""

import io
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ktls_fast import KtlsSocket, OffloadQueue
from ktls_fast._tools.conformance.blocked import wait_until_blocked
from tests.conftest import connect_pair
from tests.ktls_ends import TCP_ULP, TLS_TX, closed_at_the_end, generation, install

SIZE = 30_000_000  # more than TCP and a ring accept if the peer does not read
LONG, SHORT = 60.0, 0.3


class StopError(Exception):
    """What the handler raises."""


Send = Callable[[KtlsSocket], object]


def sendall(sender: KtlsSocket) -> None:
    sender.sendall(bytes(SIZE))


def sendfile(sender: KtlsSocket) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        sender.sendfile(file)


def sendfile_of_reads(sender: KtlsSocket) -> None:
    sender.sendfile(io.BytesIO(bytes(SIZE)))


def splices(sender: KtlsSocket) -> None:
    """Send from a pipe that is refilled during the call."""
    out, into = os.pipe()
    stop = threading.Event()

    def refill() -> None:
        os.set_blocking(into, False)
        while not stop.is_set():
            try:
                os.write(into, bytes(60_000))
            except BlockingIOError:
                stop.wait(0.001)

    filler = threading.Thread(target=refill)
    filler.start()
    try:
        sent = 0
        while sent < SIZE:
            sent += sender.splice_from(out, SIZE)
    finally:
        stop.set()
        filler.join()
        os.close(out)
        os.close(into)


WAYS = [sendall, sendfile, sendfile_of_reads, splices]


@pytest.fixture(params=["software", "device"])
def device(request: pytest.FixtureRequest) -> Iterator[OffloadQueue | None]:
    if request.param == "software":
        yield None
        return
    with OffloadQueue(depth=4) as queue:
        yield queue


@pytest.fixture
def ends(device: OffloadQueue | None) -> Iterator[tuple[KtlsSocket, socket.socket]]:
    """Yield a sender, and its peer, which does not read."""
    near, wire = connect_pair()
    sender = closed_at_the_end(KtlsSocket(near, device=device))
    sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    install(sender, TLS_TX, generation(0))
    with wire:
        yield sender, wire


def signal_once_blocked(handler: Callable[[], object]) -> None:
    """Send this thread SIGALRM as soon as it waits."""
    waiter, number = threading.main_thread().ident, threading.get_native_id()
    signal.signal(signal.SIGALRM, lambda _number, _frame: handler())

    def run() -> None:
        wait_until_blocked(number)
        signal.pthread_kill(waiter or 0, signal.SIGALRM)

    threading.Thread(target=run).start()


@pytest.fixture(autouse=True)
def handler_of_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def stop() -> None:
    raise StopError


@pytest.mark.parametrize("timeout", [None, LONG])
@pytest.mark.parametrize("send", WAYS)
@pytest.mark.timeout(20)
def test_a_handler_that_raises_ends_a_send_that_waits(
    ends: tuple[KtlsSocket, socket.socket], send: Send, timeout: float | None
) -> None:
    sender, _wire = ends
    sender.settimeout(timeout)
    signal_once_blocked(stop)
    with pytest.raises(StopError):
        send(sender)


@pytest.mark.parametrize("send", [sendall, sendfile, sendfile_of_reads])
def test_a_handler_that_returns_loses_nothing(
    ends: tuple[KtlsSocket, socket.socket], send: Send
) -> None:
    sender, wire = ends
    records = -(-SIZE // 16384)
    got: list[int] = []

    def read() -> None:
        left = SIZE + records * 22
        while left and (data := wire.recv(1 << 20)):
            left -= len(data)
        got.append(left)

    reader = threading.Thread(target=read)
    signal_once_blocked(reader.start)
    send(sender)
    reader.join(LONG)
    assert got == [0]


@pytest.mark.parametrize("send", [sendall, sendfile, sendfile_of_reads])
@pytest.mark.parametrize("interval", [0, 0.02])
def test_the_timeout_for_a_stalled_peer_starts_once(
    ends: tuple[KtlsSocket, socket.socket], send: Send, interval: float
) -> None:
    """Neither an accepted chunk nor a signal restarts the timeout."""
    sender, _wire = ends
    sender.settimeout(SHORT)
    signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, interval, interval)
    times = []
    for _ in range(3):
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            send(sender)
        times.append(time.monotonic() - begin)
    assert SHORT <= min(times) < 2 * SHORT


def test_a_slow_reader_does_not_time_a_file_out() -> None:
    """As in ``socket.sendfile``, the timeout applies to each wait, not to the whole call."""
    near, wire = connect_pair()
    sender = closed_at_the_end(KtlsSocket(near))
    sender.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    install(sender, TLS_TX, generation(0))
    sender.settimeout(LONG / 100)
    begin, over = time.monotonic(), threading.Event()

    def read() -> None:
        while time.monotonic() - begin < LONG / 50:
            wire.recv(1 << 20)
            over.wait(0.02)
        while wire.recv(1 << 20):
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with tempfile.TemporaryFile() as file:
        file.truncate(200_000_000)
        assert sender.sendfile(file) == 200_000_000
    assert time.monotonic() - begin > LONG / 100
    sender.close()
    reader.join(LONG)
    wire.close()


def test_a_file_object_is_left_after_the_sent_bytes(ends: tuple[KtlsSocket, socket.socket]) -> None:
    sender, _wire = ends
    sender.settimeout(0.05)
    file = io.BytesIO(bytes(SIZE))
    with pytest.raises(TimeoutError):
        sender.sendfile(file, 5)
    assert 5 < file.tell() < SIZE
