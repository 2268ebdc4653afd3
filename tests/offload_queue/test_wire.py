"""The wire of a sender over a queue, and both ends over one."""

import hashlib
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktls_fast import KtlsSocket, OffloadQueue
from tests.ktls_ends import (
    KEY_UPDATE,
    MORE,
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    generation,
    install,
    receive,
    send_typed,
)
from tests.offload_queue.ends import PATIENCE, QueueSender, over
from tests.reference import HANDSHAKE, pattern

Call = tuple[str, int, int]
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


def play(half: QueueSender, calls: list[Call]) -> bytes:
    """Make the calls, and return everything that they send."""
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
def test_the_wire_equals_that_of_the_software_path(
    workers: int, depth: int, calls: list[Call]
) -> None:
    """D-8, R-API-2."""
    with OffloadQueue(workers, depth=depth) as queue:
        assert play(QueueSender(queue), calls) == play(QueueSender(None), calls)


@pytest.mark.parametrize("policy", ["cover-letter", "v17"])
def test_both_ends_rekey_over_a_queue(policy: str) -> None:
    """R-TX-2, R-API-2."""
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
