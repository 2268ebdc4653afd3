"""Fixture "zero_len": empty records in every order."""

import errno
import os
import socket
import struct

import pytest

from ktls_fast import KtlsSocket
from tests.cipher_vectors import kernel_records
from tests.ktls_ends import DONTWAIT, PEEK, TLS_RX, MakePair, attach, fails, install, receive
from tests.ktls_pipe import PipeEnds
from tests.reference import AES_CCM_128, APPLICATION_DATA, HANDSHAKE, TLS12, TLS13
from tests.selftest.ends import filled

HELLO = b"Hello world"
SPLICE_NONBLOCK = 2
DATA = APPLICATION_DATA

# The records on the wire, and the result of each recvmsg(128) until EAGAIN.
RECEIVED: dict[str, list[tuple[bytes, int]]] = {
    "data_data_data": [(HELLO * 3, DATA)],
    "data_0ctrl_data": [(HELLO, DATA), (b"", HANDSHAKE), (HELLO, DATA)],
    "0data_0data_0data": [],
    "0data_0data_ctrl": [(b"", DATA), (HELLO, HANDSHAKE)],
    "0data_0data_0ctrl": [(b"", DATA), (b"", HANDSHAKE)],
    "0ctrl_0ctrl_0ctrl": [(b"", HANDSHAKE)] * 3,
    "0data_0data_data": [(HELLO, DATA)],
    "data_0data_0data": [(HELLO, DATA)],
}


def known_answers() -> dict[tuple[int, int, bytes], bytes]:
    """Return the selftest's records under a key of zeros, by number, type and plaintext."""
    records = {}
    for vector in kernel_records():
        number, record_type, _, _ = struct.unpack(">QBHH", vector.aad)
        body = vector.nonce[4:] + vector.sealed
        record = struct.pack(">BHH", record_type, TLS12, len(body)) + body
        records[number, record_type, vector.plaintext] = record
    return records


RECORDS = known_answers()


def wire(layout: str, version: int = TLS12) -> bytes:
    """Return the records of a layout: the selftest's own, or those of TLS 1.3."""
    whole = b""
    for number, word in enumerate(layout.split("_")):
        record_type = HANDSHAKE if word.endswith("ctrl") else DATA
        data = b"" if word.startswith("0") else HELLO
        if version == TLS12:
            whole += RECORDS[number, record_type, data]
        else:
            whole += filled(AES_CCM_128, 0).seal(data, record_type, nth=number)
    return whole


def receiver_of(
    pair: MakePair, records: bytes, version: int = TLS12
) -> tuple[socket.socket, KtlsSocket]:
    """Return a receiver that was sent these records, and the other end, which must stay open."""
    raw, far = pair()
    receiver = attach(far)
    install(receiver, TLS_RX, filled(AES_CCM_128, 0, version))
    raw.sendall(records)
    return raw, receiver


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("layout", RECEIVED)
def test_empty_records_are_received_in_every_order(
    tcp_pair: MakePair, layout: str, version: int
) -> None:
    """S3.3-12, S3.3-13.

    zero_len.data_data_data, zero_len.data_0ctrl_data, zero_len.0data_0data_0data,
    zero_len.0data_0data_ctrl, zero_len.0data_0data_0ctrl, zero_len.0ctrl_0ctrl_0ctrl,
    zero_len.0data_0data_data and zero_len.data_0data_0data, in TLS 1.3 too.
    """
    _, receiver = receiver_of(tcp_pair, wire(layout, version), version)
    for want in RECEIVED[layout]:
        assert receive(receiver, 128) == want
    with pytest.raises(BlockingIOError):
        receive(receiver, 128)


def test_a_peek_skips_empty_records(tcp_pair: MakePair) -> None:
    """zero_len.peek. S3.3-12, S3.5-1."""
    _, receiver = receiver_of(tcp_pair, wire("0data_0data_data"))
    assert receiver.recv(128, PEEK | DONTWAIT) == HELLO
    assert receiver.recv(128, DONTWAIT) == HELLO
    with pytest.raises(BlockingIOError):
        receiver.recv(128, DONTWAIT)


def test_a_peek_of_empty_records_alone_finds_nothing(tcp_pair: MakePair) -> None:
    """zero_len.peek. S3.3-12."""
    _, receiver = receiver_of(tcp_pair, wire("0data_0data_0data"))
    with pytest.raises(BlockingIOError):
        receiver.recv(128, PEEK | DONTWAIT)


# Newer kernels skip empty data records here; the recorded one returns 0 for each and consumes it
# (trace recv.splice_empty).
@pytest.mark.parametrize(
    ("layout", "sizes"),
    [("0data_data", [0, 11]), ("0data_0data_data", [0, 0, 11]), ("0data_0data_0data", [0, 0, 0])],
)
def test_splice_consumes_empty_records(
    tcp_pair: MakePair, pipe: PipeEnds, layout: str, sizes: list[int]
) -> None:
    """zero_len.splice. S3.7-1."""
    _, receiver = receiver_of(tcp_pair, wire(layout))
    assert [receiver.splice_to(pipe.into, 128, SPLICE_NONBLOCK) for _ in sizes] == sizes
    with pytest.raises(BlockingIOError):
        receiver.splice_to(pipe.into, 128, SPLICE_NONBLOCK)
    with pytest.raises(BlockingIOError):
        receiver.recv(128, DONTWAIT)
    os.write(pipe.into, b".")
    assert os.read(pipe.out, 128) == (HELLO if 11 in sizes else b"") + b"."


def test_splice_stops_at_an_empty_control_record(tcp_pair: MakePair, pipe: PipeEnds) -> None:
    """zero_len.splice. S3.7-2, S3.3-13."""
    _, receiver = receiver_of(tcp_pair, wire("0data_0ctrl"))
    assert receiver.splice_to(pipe.into, 128, SPLICE_NONBLOCK) == 0
    with fails(errno.EINVAL):
        receiver.splice_to(pipe.into, 128, SPLICE_NONBLOCK)
    assert receive(receiver, 128) == (b"", HANDSHAKE)
