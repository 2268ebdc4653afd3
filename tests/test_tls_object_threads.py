"""TLS objects that several threads and processes use, and the end of their lives."""

import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import ktls_fast
from ktls_fast import KtlsError, TLSObject, WantReadError
from tests.forked import ForkedCall
from tests.peers.ours import server_config
from tests.tls_objects import exchange, objects, read_all

SIZE = 4 << 20


def test_one_thread_reads_while_another_writes() -> None:
    a, b = objects(rekey_bytes=300_000, rekey_interval=0, rekey_peer=True)
    done = threading.Event()

    def write(end: TLSObject) -> None:
        for piece in range(SIZE // 65536):
            end.write(bytes([piece % 251]) * 65536)

    def carry_and_read(end: TLSObject, other: TLSObject) -> int:
        count, buffer = 0, bytearray(1 << 18)
        while count < SIZE:
            end.receive(other.data_to_send(100_000))
            while end.pending():
                try:
                    count += end.recv_into(buffer)
                except WantReadError:
                    break
        return count

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, end) for end in (a, b)]
        readers = [pool.submit(carry_and_read, a, b), pool.submit(carry_and_read, b, a)]
        assert [reader.result(60) for reader in readers] == [SIZE, SIZE]
        for writer in writers:
            writer.result(60)
    done.set()
    assert a.rx_generation > 0
    assert b.rx_generation > 0


def test_writes_of_many_threads_do_not_mix_inside_one_call() -> None:
    a, b = objects()

    def write(number: int) -> None:
        for _ in range(20):
            a.writelines([bytes([number]) * 3000] * 10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    exchange(a, b)
    data = read_all(b)
    assert len(data) == 4 * 20 * 30_000
    runs = [data[at : at + 30_000] for at in range(0, len(data), 30_000)]
    assert all(run == run[:1] * 30_000 for run in runs)


def test_a_dropped_object_leaves_nothing() -> None:
    gc.collect()
    before = ktls_fast.tls_stat()["TlsCurrTxSw"]
    a, b = objects()
    reference = weakref.ref(a)
    assert ktls_fast.tls_stat()["TlsCurrTxSw"] == before + 2
    exchange(a, b)
    del a, b
    gc.collect()
    assert reference() is None
    assert ktls_fast.tls_stat()["TlsCurrTxSw"] == before


def test_calls_keep_no_reference_to_their_arguments() -> None:
    a, b = objects()
    data, buffer = bytes(range(200)), bytearray(1000)
    counts = sys.getrefcount(data), sys.getrefcount(buffer)
    for _ in range(10):
        a.write(data)
        a.writelines([data, data])
        wire = a.data_to_send()
        b.receive(wire)
        assert sys.getrefcount(wire) == 2
        assert b.recv_into(buffer) == 600
        with pytest.raises(WantReadError):
            b.recv_into(buffer)
    assert (sys.getrefcount(data), sys.getrefcount(buffer)) == counts
    buffer.extend(b"no export is left")


def test_after_a_fork_the_first_process_that_uses_it_keeps_it() -> None:
    a, _ = objects()
    assert ForkedCall(lambda: a.write(b"child")).answer() == "5"
    with pytest.raises(KtlsError, match="only one of the two processes") as caught:
        a.write(b"parent")
    assert caught.value.errno == 16
    for call in (a.read, a.data_to_send, a.key_update, lambda: a.receive(b"x")):
        with pytest.raises(KtlsError, match="only one of the two processes"):
            call()


def test_after_a_fork_the_parent_may_keep_it() -> None:
    a, b = objects()
    child = ForkedCall(lambda: 0)
    assert child.answer() == "0"
    a.write(b"parent")
    exchange(a, b)
    assert read_all(b) == b"parent"


def test_objects_in_a_handshake_are_dropped_without_trace() -> None:
    config = server_config()
    for _ in range(100):
        server = TLSObject.server(config)
        server.receive(b"\x16\x03\x01")
    reference = weakref.ref(server)
    del server
    assert reference() is None
