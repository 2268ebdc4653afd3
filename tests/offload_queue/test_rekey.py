"""Key slots, and the next key while the old one is in use."""

import errno
import threading
import time

from ktls_fast import Namespace, OffloadQueue, TlsConf
from tests.conftest import connect_pair
from tests.ktls_ends import (
    KEY_UPDATE,
    MORE,
    TLS_RX,
    TLS_TX,
    fails,
    generation,
    install,
    receive,
    send_typed,
)
from tests.offload_queue.ends import (
    PATIENCE,
    RECORD,
    QueueSender,
    attach,
    wait_until_acknowledged,
    wait_until_idle,
)
from tests.reference import HANDSHAKE


def test_a_direction_without_a_free_slot_stays_in_software() -> None:
    """D-2, D-4."""
    with OffloadQueue(slots=1) as queue:
        first, second = QueueSender(queue), QueueSender(queue)
        for half, conf, name in ((first, 3, "Device"), (second, TlsConf.SW, "Sw")):
            info = half.sender.info()
            assert info is not None
            assert info.tx_conf == conf
            assert half.counted(f"TlsTx{name}") == half.counted(f"TlsCurrTx{name}") == 1
        first.ended()
        assert queue.stats().slots == 0
        assert QueueSender(queue).counted("TlsTxDevice") == 1


def test_a_rekey_waits_for_the_acknowledgement_of_tcp(queue: OffloadQueue) -> None:
    """R-TX-1, R-TX-2, R-TX-3, R-TX-6."""
    half = QueueSender(queue)
    taken = half.fill()
    install(half.sender, TLS_TX, generation(1))
    assert half.counted("TlsCurrTxRekey") == 1
    assert half.counted("TlsTxRekeyOk") == 0
    blocked = threading.Thread(target=lambda: half.sender.sendall(b"sealed by the caller"))
    blocked.start()
    reader = threading.Thread(target=lambda: half.drain(taken // RECORD * (RECORD + 22)))
    end = time.monotonic() + PATIENCE
    while not queue.stats().software and time.monotonic() < end:
        # The other thread may have no processor yet, so that everything is still to be sent.
        if taken > RECORD:
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
    """R-TX-7, K-24."""
    half = QueueSender(queue)
    half.sender.send(b"open", MORE)
    install(half.sender, TLS_TX, generation(1))
    half.sender.send(b"next")
    assert half.counted("TlsTxRekeyOk") == 1
    wire, key = half.ended(), generation(1)
    assert key.open(wire[: 4 + 22], nth=0)[1] == b"open"
    assert key.open(wire[4 + 22 :], nth=1)[1] == b"next"


def test_a_rekey_falls_back_to_software_if_the_device_is_gone(queue: OffloadQueue) -> None:
    """R-TX-8."""
    half = QueueSender(queue)
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


def test_a_close_during_a_rekey_aborts_it(queue: OffloadQueue) -> None:
    """V-TX-8."""
    half = QueueSender(queue)
    half.fill()
    install(half.sender, TLS_TX, generation(1))
    half.sender.close()
    half.wire.close()
    assert half.counted("TlsTxRekeyAborted") == 1
    assert half.counted("TlsCurrTxRekey") == half.counted("TlsCurrTxDevice") == 0


def test_a_receiver_installs_the_next_key_at_once(queue: OffloadQueue) -> None:
    """R-RX-1, R-RX-2."""
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
