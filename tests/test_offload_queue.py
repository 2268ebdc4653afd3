"""An OffloadQueue as the device of KtlsSockets: same bytes, same errors, other threads."""

import errno
import fcntl
import hashlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast import KtlsSocket, Namespace, OffloadQueue, TlsConf
from ktls_fast.conformance.blocked import once_blocked
from tests.conftest import connect_pair
from tests.forked import in_child
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    MORE,
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    fails,
    generation,
    install,
    receive,
    send_typed,
)
from tests.reference import HANDSHAKE, pattern

PATIENCE = 10.0
SETTLED = 0.05  # nobody made room for so long
WIRES: list[socket.socket] = []
RECORD = 16384
Call = tuple[str, int, int]


class Half:
    """A sender over a queue (or none) and a plain socket that sees its wire."""

    def __init__(self, queue: OffloadQueue | None, number: int = 0) -> None:
        near, self.wire = connect_pair()
        WIRES.append(self.wire)
        self.namespace = Namespace()
        self.sender = attach(near, queue, self.namespace)
        install(self.sender, TLS_TX, generation(number))

    def counted(self, name: str) -> int:
        """A counter of this socket."""
        return self.namespace.tls_stat().get(name, 0)

    def fill(self, piece: bytes = bytes(RECORD)) -> int:
        """Send until neither TCP nor the ring has room; gives how many bytes were taken."""
        taken = 0
        while self.sender.poll(select.POLLOUT, SETTLED):
            taken += _try(self.sender, piece)
        return taken

    def drain(self, count: int) -> bytes:
        """Read so many bytes off the wire."""
        pieces = []
        while count:
            pieces.append(self.wire.recv(min(count, 1 << 20)))
            assert pieces[-1]
            count -= len(pieces[-1])
        return b"".join(pieces)

    def ended(self) -> bytes:
        """Close the sender and read to the end."""
        self.sender.close()
        return self.rest()

    def rest(self) -> bytes:
        """Read to the end."""
        pieces = []
        while piece := self.wire.recv(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)


def attach(
    sock: socket.socket, queue: OffloadQueue | None, namespace: Namespace | None = None
) -> KtlsSocket:
    end = KtlsSocket(sock, namespace=namespace, device=queue)
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    return end


def over(queue: OffloadQueue) -> tuple[KtlsSocket, KtlsSocket]:
    """Sender and receiver, both over a queue."""
    near, far = (attach(sock, queue) for sock in connect_pair())
    install(near, TLS_TX, generation(0))
    install(far, TLS_RX, generation(0))
    return near, far


def wait_until_idle(queue: OffloadQueue) -> None:
    """Until TCP has all that was submitted, at most ten seconds."""
    end = time.monotonic() + PATIENCE
    while (stats := queue.stats()).submitted != stats.completed:
        assert time.monotonic() < end, stats
        os.sched_yield()


def wait_until_acknowledged(end: KtlsSocket) -> None:
    """Until the peer's TCP has all bytes, at most ten seconds."""
    until = time.monotonic() + PATIENCE
    while fcntl.ioctl(end.fileno(), termios.TIOCOUTQ, bytes(4)) != bytes(4):
        assert time.monotonic() < until
        os.sched_yield()


@pytest.fixture
def queue() -> Iterator[OffloadQueue]:
    with OffloadQueue() as made:
        yield made
        close_wires()


@pytest.fixture(autouse=True)
def close_wires_at_the_end() -> Iterator[None]:
    yield
    close_wires()


def close_wires() -> None:
    """So that no worker waits for a peer that reads nothing."""
    while WIRES:
        WIRES.pop().close()


SIZE = st.integers(0, 40_000)
CALLS: st.SearchStrategy[list[Call]] = st.lists(
    st.one_of(
        st.tuples(st.just("send"), SIZE, st.sampled_from([0, MORE])),
        st.tuples(st.just("gather"), SIZE, st.sampled_from([0, MORE])),
        st.tuples(st.just("typed"), SIZE, st.sampled_from([21, 22, 100])),
        st.tuples(st.just("buffer"), SIZE, st.just(0)),
        st.tuples(st.just("rekey"), st.just(0), st.just(0)),
    ),
    max_size=12,
)


def play(half: Half, calls: list[Call]) -> bytes:
    """Make the calls, and give all that they put on the wire."""
    number = 0
    with half.wire:
        for call, size, extra in calls:
            data = pattern(size)
            if number and extra == MORE:
                # When the peer has acknowledged a rekey is up to TCP, and then the next send closes
                # an open record (R-TX-7): its borders would be those of chance.
                extra = 0
            if call == "rekey":
                # It closes an open record, which a device would close by itself (R-TX-7).
                send_typed(half.sender, KEY_UPDATE, HANDSHAKE)
                number += 1
                install(half.sender, TLS_TX, generation(number))
            elif call == "typed":
                half.sender.sendmsg([data], [(SOL_TLS, 1, bytes([extra]))])
            elif call == "gather":
                half.sender.sendmsg([data[:9], data[9:11], data[11:]], [], extra)
            elif call == "buffer":
                scratch = bytearray(data)
                half.sender.sendall(scratch)
                scratch[:] = bytes(len(scratch))
            else:
                half.sender.send(data, extra)
        return half.ended()


@pytest.mark.parametrize(("workers", "depth"), [(0, 256), (1, 256), (1, 1), (2, 3)])
@given(calls=CALLS)
def test_the_wire_is_that_of_the_software_path(workers: int, depth: int, calls: list[Call]) -> None:
    with OffloadQueue(workers, depth=depth) as queue:
        assert play(Half(queue), calls) == play(Half(None), calls)


@pytest.mark.parametrize("policy", ["cover-letter", "v17"])
def test_both_ends_over_a_queue_with_rekeys(policy: str) -> None:
    with OffloadQueue(2, policy=policy) as queue:  # type: ignore[arg-type]
        sender, receiver = over(queue)
        block = random.Random(1).randbytes(1 << 20)

        def send() -> None:
            for number in range(1, 9):
                sender.sendall(block)
                send_typed(sender, KEY_UPDATE, HANDSHAKE)
                install(sender, TLS_TX, generation(number))
            sender.close()

        thread = threading.Thread(target=send)
        thread.start()
        digest, number = hashlib.sha256(), 0
        while got := receive(receiver, 1 << 18, 0):
            if got[1] == HANDSHAKE:
                number += 1
                install(receiver, TLS_RX, generation(number))
            elif not got[0]:
                break
            digest.update(got[0])
        thread.join(PATIENCE)
        wanted = hashlib.sha256()
        for _ in range(8):
            wanted.update(block)
            wanted.update(KEY_UPDATE)
        assert number == 8
        assert digest.digest() == wanted.digest()


def test_a_full_ring_is_eagain_and_poll_says_so() -> None:
    with OffloadQueue(depth=4) as queue:
        half = Half(queue)
        taken = half.fill()
        with fails(errno.EAGAIN):
            half.sender.send(b"x", DONTWAIT)
        assert half.sender.poll(select.POLLOUT, 0) == 0
        stats = queue.stats()
        assert stats.depth == 4
        assert stats.ring_full > 0
        records = taken // RECORD
        with once_blocked(lambda: half.drain(records * (RECORD + 22))):
            assert half.sender.poll(select.POLLOUT, PATIENCE) == select.POLLOUT
        half.wire.close()


def test_a_partial_send_tells_how_much_was_taken() -> None:
    with OffloadQueue(depth=4) as queue:
        half = Half(queue)
        half.fill()
        half.drain(RECORD + 22)
        big = bytes(4000 * RECORD)  # more than TCP takes in one go
        while (taken := _try(half.sender, big)) == 0:
            half.drain(RECORD + 22)
        assert 0 < taken < len(big)
        assert taken % RECORD == 0
        half.wire.close()


def _try(sender: KtlsSocket, data: bytes) -> int:
    try:
        return sender.send(data, DONTWAIT)
    except BlockingIOError:
        return 0


def test_a_full_ring_keeps_to_the_timeout() -> None:
    with OffloadQueue(depth=2) as queue:
        half = Half(queue)
        half.fill()
        half.sender.settimeout(0.02)
        with pytest.raises(TimeoutError):
            half.sender.send(b"x")
        half.sender.settimeout(None)
        half.sender.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, (0).to_bytes(8, "little") + b"\x20N" + bytes(6)
        )
        with fails(errno.EAGAIN):
            half.sender.send(b"x")
        half.wire.close()


def test_a_signal_handler_runs_while_a_send_waits() -> None:
    with OffloadQueue(depth=2) as queue:
        half = Half(queue)
        half.fill()

        def interrupted(*_: object) -> None:
            raise InterruptedError(errno.EINTR, "a signal came")

        old = signal.signal(signal.SIGUSR1, interrupted)
        try:
            with once_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1)):  # noqa: SIM117
                with pytest.raises(InterruptedError):
                    half.sender.send(b"x")
        finally:
            signal.signal(signal.SIGUSR1, old)
        half.wire.close()


def test_a_blocked_connection_does_not_stop_another(queue: OffloadQueue) -> None:
    blocked, free = Half(queue), Half(queue)
    blocked.fill()
    free.sender.sendall(bytes(RECORD))
    assert len(free.drain(RECORD + 22)) == RECORD + 22
    blocked.wire.close()


def test_a_reset_is_reported_once(queue: OffloadQueue) -> None:
    half = Half(queue)
    half.sender.sendall(bytes(RECORD))
    half.drain(10)
    half.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    half.wire.close()
    wait_until_idle(queue)
    assert half.sender.poll(0, PATIENCE) & select.POLLERR
    assert half.sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert half.sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_a_reset_amid_a_stream_fails_the_next_send(queue: OffloadQueue) -> None:
    half = Half(queue)
    half.fill()
    half.wire.close()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        half.sender.sendall(bytes(1 << 20))
    wait_until_idle(queue)
    assert queue.stats().depth == 0


def test_what_was_accepted_leaves_after_a_close(queue: OffloadQueue) -> None:
    half = Half(queue)
    taken = half.fill()
    half.sender.close()
    assert len(half.rest()) == taken // RECORD * (RECORD + 22)


def test_shutdown_comes_behind_what_was_accepted(queue: OffloadQueue) -> None:
    half = Half(queue)
    taken = half.fill()
    half.sender.shutdown(socket.SHUT_WR)
    assert len(half.rest()) == taken // RECORD * (RECORD + 22)


def test_closing_the_queue_lets_all_leave_and_sockets_go_on_in_software(
    queue: OffloadQueue,
) -> None:
    half = Half(queue)
    half.sender.sendall(bytes(RECORD))
    queue.close()
    assert queue.closed
    assert len(half.drain(RECORD + 22)) == RECORD + 22
    assert half.sender.send(b"more") == 4
    assert len(half.ended()) == 4 + 22
    assert queue.stats().submitted == 1


def test_without_a_free_slot_a_direction_is_software() -> None:
    with OffloadQueue(slots=1) as queue:
        first, second = Half(queue), Half(queue)
        for half, conf, name in ((first, 3, "Device"), (second, TlsConf.SW, "Sw")):
            info = half.sender.info()
            assert info is not None
            assert info.tx_conf == conf
            assert half.counted(f"TlsTx{name}") == half.counted(f"TlsCurrTx{name}") == 1
        first.ended()
        assert queue.stats().slots == 0
        assert Half(queue).counted("TlsTxDevice") == 1


def test_a_rekey_waits_for_the_acknowledgement_of_tcp(queue: OffloadQueue) -> None:
    half = Half(queue)
    taken = half.fill()
    install(half.sender, TLS_TX, generation(1))
    assert half.counted("TlsCurrTxRekey") == 1
    assert half.counted("TlsTxRekeyOk") == 0
    blocked = threading.Thread(target=lambda: half.sender.sendall(b"sealed by the caller"))
    blocked.start()
    reader = threading.Thread(target=lambda: half.drain(taken // RECORD * (RECORD + 22)))
    while not queue.stats().software:
        half.drain(RECORD + 22)
        taken -= RECORD
    reader.start()
    blocked.join(PATIENCE)
    assert queue.stats().software == 1
    reader.join(PATIENCE)
    wait_until_idle(queue)
    wait_until_acknowledged(half.sender)
    half.sender.send(b"this one installs")
    assert half.counted("TlsCurrTxRekey") == 0
    assert half.counted("TlsTxRekeyOk") == 1
    assert queue.stats().software == 1
    half.wire.close()


def test_an_open_record_is_closed_under_the_new_key_before_the_install(
    queue: OffloadQueue,
) -> None:
    half = Half(queue)
    half.sender.send(b"open", MORE)
    install(half.sender, TLS_TX, generation(1))
    half.sender.send(b"next")
    assert half.counted("TlsTxRekeyOk") == 1
    wire, key = half.ended(), generation(1)
    assert key.open(wire[: 4 + 22], nth=0)[1] == b"open"
    assert key.open(wire[4 + 22 :], nth=1)[1] == b"next"


def test_a_device_that_is_gone_makes_a_rekey_fall_back(queue: OffloadQueue) -> None:
    half = Half(queue)
    half.sender.send(b"old")
    wait_until_idle(queue)
    wait_until_acknowledged(half.sender)
    queue.close()
    install(half.sender, TLS_TX, generation(1))
    assert half.counted("TlsTxRekeyFallback") == 1
    assert (half.counted("TlsCurrTxSw"), half.counted("TlsCurrTxDevice")) == (1, 0)
    half.sender.send(b"new")
    wire = half.ended()
    assert generation(1).open(wire[3 + 22 :], nth=0)[1] == b"new"


def test_a_close_amid_a_rekey_aborts_it(queue: OffloadQueue) -> None:
    half = Half(queue)
    half.fill()
    install(half.sender, TLS_TX, generation(1))
    half.sender.close()
    half.wire.close()
    assert half.counted("TlsTxRekeyAborted") == 1
    assert half.counted("TlsCurrTxRekey") == half.counted("TlsCurrTxDevice") == 0


def test_a_receiver_gets_the_next_key_at_once(queue: OffloadQueue) -> None:
    namespace = Namespace()
    near, far = connect_pair()
    sender, receiver = attach(near, None), attach(far, queue, namespace)
    install(sender, TLS_TX, generation(0))
    install(receiver, TLS_RX, generation(0))
    send_typed(sender, KEY_UPDATE, HANDSHAKE)
    install(sender, TLS_TX, generation(1))
    sender.send(b"under the next key")
    assert receive(receiver, 100, 0) == (KEY_UPDATE, HANDSHAKE)
    with fails(errno.EKEYEXPIRED):
        receiver.recv(100)
    install(receiver, TLS_RX, generation(1))
    assert receiver.recv(100) == b"under the next key"
    counted = namespace.tls_stat()
    assert (counted["TlsRxDevice"], counted["TlsRxSw"], counted["TlsRxRekeyOk"]) == (1, 0, 1)
    assert counted["TlsDecryptError"] == 0


def test_a_selector_hears_of_records_that_a_worker_took(queue: OffloadQueue) -> None:
    sender, receiver = over(queue)
    with once_blocked(lambda: sender.send(b"data")):
        assert receiver.poll(select.POLLIN, PATIENCE) == select.POLLIN
    assert receiver.recv(100) == b"data"


def test_data_comes_before_a_bad_record(queue: OffloadQueue) -> None:
    near, far = connect_pair()
    receiver = attach(far, queue)
    install(receiver, TLS_RX, generation(0))
    key = generation(0)
    near.sendall(key.seal(b"good", nth=0) + bytes([23, 3, 3, 0, 30]) + bytes(30))
    assert receiver.recv(4) == b"good"
    for _ in range(2):
        with fails(errno.EBADMSG):
            receiver.recv(4)
    near.close()


def test_many_threads_share_a_queue() -> None:
    with OffloadQueue(2, depth=8) as queue:
        ends = [over(queue) for _ in range(6)]
        block = random.Random(2).randbytes(3 << 20)

        def send(sender: KtlsSocket) -> None:
            sender.sendall(block)
            sender.close()

        threads = [threading.Thread(target=send, args=(sender,)) for sender, _ in ends]
        for thread in threads:
            thread.start()
        for _, receiver in ends:
            got = b"".join(iter(lambda end=receiver: end.recv(1 << 18), b""))  # type: ignore[misc]
            assert got == block
        for thread in threads:
            thread.join(PATIENCE)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_is_refused_what_is_in_flight_and_the_queue(queue: OffloadQueue) -> None:
    half = Half(queue)
    half.fill()
    busy = str(errno.EBUSY)
    assert in_child(lambda: half.sender.send(b"x")).startswith(busy)
    assert in_child(queue.stats).startswith(busy)
    assert in_child(lambda: KtlsSocket(connect_pair()[0], device=queue)).startswith(busy)
    half.wire.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_goes_on_in_software_where_nothing_is_in_flight(queue: OffloadQueue) -> None:
    half = Half(queue)
    half.sender.send(b"parent")
    half.drain(6 + 22)
    wait_until_idle(queue)
    assert in_child(lambda: half.sender.send(b"child")) == "5"
    assert generation(0).open(half.drain(5 + 22), nth=1)[1] == b"child"
    half.wire.close()


def test_an_exit_with_a_live_queue_does_not_hang() -> None:
    code = (
        "import tests.test_offload_queue as t;"
        "q = t.OffloadQueue(); h = t.Half(q); h.fill(); a, b = t.over(q); print(q)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=60, text=True
    )
    assert done.stdout.startswith("<OffloadQueue workers=1 depth=256 slots=64 policy=cover-letter")


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"workers": 257}, "workers 257 is not from 0 to 256"),
        ({"depth": 0}, "depth 0 is not from 1 to 65536"),
        ({"policy": "naive"}, 'policy "naive" is neither "cover-letter" nor "v17"'),
    ],
)
def test_a_queue_that_cannot_be_is_refused(kwargs: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OffloadQueue(**kwargs)  # type: ignore[arg-type]
