"""Receiving of records that workers have opened ahead."""

import errno
import select

from ktls_fast import OffloadQueue
from ktls_fast._tools.conformance.blocked import once_blocked
from tests.conftest import connect_pair
from tests.ktls_ends import (
    TLS_RX,
    fails,
    generation,
    install,
)
from tests.offload_queue.ends import (
    PATIENCE,
    attach,
    over,
)


def test_a_selector_reports_records_that_a_worker_received(queue: OffloadQueue) -> None:
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
