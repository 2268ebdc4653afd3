"""Sending with KtlsSocket: ``docs/kernel-rules.md``, section 2."""

import contextlib
import errno
import os
import socket
import struct

import pytest

from ktls_fast import KtlsSocket
from tests.ktls_ends import (
    MORE,
    SOL_TLS,
    TLS_TX,
    KtlsEnds,
    MakePair,
    attach,
    ends_over,
    fails,
    generation,
    install,
    receive,
    send_typed,
)
from tests.reference import APPLICATION_DATA, HANDSHAKE, TLS12, TLS13, pattern

EOR = socket.MSG_EOR
TYPE = (SOL_TLS, 1)


@pytest.fixture
def tap(tcp_pair: MakePair) -> tuple[KtlsSocket, socket.socket]:
    """Return a sender with a key, and the TCP socket that receives its records."""
    near, far = tcp_pair()
    sender = attach(near)
    install(sender, TLS_TX, generation(0))
    return sender, far


def read_arrived(sock: socket.socket) -> bytes:
    """Return the data that has arrived."""
    wire = b""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while data := sock.recv(1 << 16):
            wire += data
    return wire


def opened(wire: bytes) -> list[tuple[int, bytes]]:
    """Open records under the key of generation 0; return their types and plaintexts."""
    records: list[tuple[int, bytes]] = []
    while wire:
        size = 5 + int.from_bytes(wire[3:5], "big")
        records.append(generation(0).open(wire[:size], nth=len(records)))
        wire = wire[size:]
    return records


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("size", [1, 100, 16384])
def test_a_record_equals_that_of_the_model(tcp_pair: MakePair, version: int, size: int) -> None:
    """S2.1-1, S2.1-2, S2.1-3."""
    near, far = tcp_pair()
    sender, key = attach(near), generation(0, version)
    install(sender, TLS_TX, key)
    assert sender.send(pattern(size)) == size
    want = key.seal(pattern(size))
    assert far.recv(len(want), socket.MSG_WAITALL) == want
    assert read_arrived(far) == b""


@pytest.mark.parametrize("record_type", [None, HANDSHAKE])
def test_long_data_is_split_into_full_records_of_its_type(
    tap: tuple[KtlsSocket, socket.socket], record_type: int | None
) -> None:
    """S2.2-8, S2.1-4."""
    sender, far = tap
    control = [] if record_type is None else [(*TYPE, bytes([record_type]))]
    assert sender.sendmsg([pattern(40000)], control) == 40000
    wire = far.recv(40000 + 3 * 22, socket.MSG_WAITALL)
    kind = APPLICATION_DATA if record_type is None else record_type
    assert opened(wire) == [
        (kind, pattern(40000)[start : start + 16384]) for start in range(0, 40000, 16384)
    ]


def test_pieces_of_one_call_become_one_record(tap: tuple[KtlsSocket, socket.socket]) -> None:
    """S2.2-16."""
    sender, far = tap
    assert sender.sendmsg([b"a", b"", bytearray(b"bc"), memoryview(b"d")]) == 4
    assert opened(read_arrived(far)) == [(23, b"abcd")]


@pytest.mark.parametrize(
    ("calls", "records"),
    [
        ([(b"ab", MORE), (b"cd", MORE)], []),
        ([(b"ab", MORE), (b"cd", 0)], [(23, b"abcd")]),
        ([(b"ab", MORE), (b"", 0)], []),
        ([(b"ab", MORE), (b"cd", EOR)], [(23, b"abcd")]),
    ],
    ids=["more", "closed", "zero bytes", "eor"],
)
def test_an_open_record_waits_for_its_end(
    tap: tuple[KtlsSocket, socket.socket],
    calls: list[tuple[bytes, int]],
    records: list[tuple[int, bytes]],
) -> None:
    """S2.2-9, S2.2-10."""
    sender, far = tap
    for data, flags in calls:
        assert sender.send(data, flags) == len(data)
    assert opened(read_arrived(far)) == records


@pytest.mark.parametrize("data", [b"", b"cd"])
def test_a_typed_send_ends_an_open_record(
    tap: tuple[KtlsSocket, socket.socket], data: bytes
) -> None:
    """S2.2-6."""
    sender, far = tap
    sender.send(b"ab", MORE)
    send_typed(sender, data, HANDSHAKE)
    assert opened(read_arrived(far)) == [(23, b"ab"), (22, b"cd")][: 1 + bool(data)]


@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_an_open_record_is_lost_with_the_stream(
    tap: tuple[KtlsSocket, socket.socket], how: str
) -> None:
    """S2.5-1."""
    sender, far = tap
    sender.send(b"ab", MORE)
    if how == "close":
        sender.close()
    else:
        sender.shutdown(socket.SHUT_WR)
    assert far.recv(100) == b""


@pytest.mark.parametrize(
    ("control", "flags", "code"),
    [
        ([(SOL_TLS, 1, b"")], 0, errno.EINVAL),
        ([(SOL_TLS, 2, b"\x16")], 0, errno.EINVAL),
        ([(socket.SOL_SOCKET, 1, b"\x16")], 0, errno.EINVAL),
        ([(SOL_TLS, 1, b"\x16")], MORE, errno.EINVAL),
        ([], MORE | EOR, errno.EINVAL),
        ([], socket.MSG_OOB, errno.EOPNOTSUPP),
        ([], socket.MSG_DONTROUTE, errno.EOPNOTSUPP),
        ([], socket.MSG_WAITALL, errno.EOPNOTSUPP),
    ],
)
def test_a_refused_send_sends_nothing_and_leaves_the_open_record(
    tap: tuple[KtlsSocket, socket.socket],
    control: list[tuple[int, int, bytes]],
    flags: int,
    code: int,
) -> None:
    """S2.2-1, S2.2-2, S2.2-4, S2.2-5, S2.2-17."""
    sender, far = tap
    sender.send(b"ab", MORE)
    with fails(code):
        sender.sendmsg([b"x"], control, flags)
    assert read_arrived(far) == b""
    sender.send(b"cd")
    assert opened(read_arrived(far)) == [(23, b"abcd")]


def test_the_payload_limit_cuts_and_waits_for_the_open_record(
    tap: tuple[KtlsSocket, socket.socket],
) -> None:
    """S1.4-17."""
    sender, far = tap
    sender.send(b"open", MORE)
    with fails(errno.EBUSY):
        sender.setsockopt(SOL_TLS, 5, struct.pack("H", 100))
    sender.send(b"ed")
    sender.setsockopt(SOL_TLS, 5, struct.pack("H", 100))
    sender.send(bytes(250))
    assert [len(data) for _, data in opened(read_arrived(far))] == [6, 100, 100, 50]


def test_the_payload_limit_cuts_control_data_too(tap: tuple[KtlsSocket, socket.socket]) -> None:
    """S1.4-18."""
    sender, far = tap
    sender.setsockopt(SOL_TLS, 5, struct.pack("H", 100))
    send_typed(sender, bytes(250), HANDSHAKE)
    kinds_and_sizes = [(kind, len(data)) for kind, data in opened(read_arrived(far))]
    assert kinds_and_sizes == [(HANDSHAKE, 100), (HANDSHAKE, 100), (HANDSHAKE, 50)]


def test_a_full_socket_loses_nothing(ends: KtlsEnds) -> None:
    """S2.2-12, S2.2-13."""
    sent = ends.fill(pattern(50_000))
    assert sent > 0
    received = bytearray(sent)
    assert ends.receiver.recv_into(received, 0, socket.MSG_WAITALL) == sent
    piece = pattern(50_000)
    assert received == (piece * (sent // len(piece) + 1))[:sent]


def test_accepted_bytes_arrive_without_another_call(ends: KtlsEnds) -> None:
    """S2.2-13, S2.5-2."""
    sent = ends.fill(pattern(16384))
    ends.sender.shutdown(socket.SHUT_WR)
    received = 0
    while data := ends.receiver.recv(1 << 20):
        received += len(data)
    assert received == sent


def test_accepted_bytes_arrive_after_close(ends: KtlsEnds) -> None:
    """S2.5-2, S2.5-3."""
    sent = ends.fill(pattern(16384))
    ends.sender.close()
    received = 0
    while data := ends.receiver.recv(1 << 20):
        received += len(data)
    assert received == sent


def test_a_send_without_progress_times_out(ends: KtlsEnds) -> None:
    """S2.2-12."""
    ends.fill(pattern(16384))
    ends.sender.settimeout(0.01)
    with pytest.raises(TimeoutError):
        ends.sender.send(b"x")


def test_sendall_sends_all_within_one_timeout(ends: KtlsEnds) -> None:
    ends.sender.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ends.sender.sendall(bytes(64 << 20))


def test_after_shutdown_a_send_accepts_one_record_and_loses_it(ends: KtlsEnds) -> None:
    """S2.5-4."""
    ends.sender.shutdown(socket.SHUT_WR)
    assert ends.sender.send(bytes(40000)) == 16384
    assert ends.receiver.recv(100) == b""


def test_every_send_reports_a_reset_until_it_is_read(ends: KtlsEnds) -> None:
    """S2.2-11, S2.2-14."""
    ends.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ends.receiver.close()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            ends.sender.send(b"x")
    assert ends.sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert ends.sender.send(b"x") == 1


def test_a_send_that_meets_a_reset_has_used_a_record_number(ends: KtlsEnds) -> None:
    """A difference from the kernel: see docs/kernel-differences.md."""
    ends.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ends.receiver.close()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            ends.sender.send(b"x")
        assert ends.sender.getsockopt(SOL_TLS, TLS_TX, 40) == generation(0).at(1).struct()


def test_a_closed_peer_is_a_broken_pipe_once(tcp_pair: MakePair) -> None:
    """S2.2-15."""
    ends = ends_over(tcp_pair)
    ends.receiver.close()
    assert ends.sender.send(b"x") == 1
    with pytest.raises(BrokenPipeError):
        ends.sender.send(b"y")


def test_type_zero_makes_the_last_data_byte_the_type(ends: KtlsEnds) -> None:
    """S2.2-7."""
    send_typed(ends.sender, b"a\x17", 0)
    assert receive(ends.receiver) == (b"a", APPLICATION_DATA)


def test_bytes_written_to_the_descriptor_are_sent_as_plaintext(tcp_pair: MakePair) -> None:
    """The documentation warns about this: with the kernel's TLS it would be a record."""
    near, far = tcp_pair()
    sender = attach(near)
    install(sender, TLS_TX, generation(0))
    assert os.write(sender.fileno(), b"secret") == 6
    assert far.recv(100) == b"secret"
