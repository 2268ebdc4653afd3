"""Cases of the kernel's selftest without a fixture."""

import errno
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Iterator

import pytest

from ktls_fast import KtlsSocket
from ktls_fast._tools.conformance.blocked import blocked, wait_until
from tests.ktls_ends import (
    DONTWAIT,
    MORE,
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    attach,
    fails,
    install,
)
from tests.reference import AES_CCM_128, AES_GCM_256, TLS12, TLS13, pattern
from tests.selftest.ends import EXPECT_NO_PAD, WAITALL, filled

MAX_PAYLOAD_LEN = 5
CCM12, GCM12 = filled(AES_CCM_128, 0, TLS12), filled(AES_GCM_256, 0, TLS12)
ULP = (socket.IPPROTO_TCP, TCP_ULP, b"tls")


def payload_sizes(raw: socket.socket) -> Iterator[int]:
    """Plaintext bytes of each record that comes before the end."""
    while header := raw.recv(5, WAITALL):
        assert header[:3] == b"\x17\3\3"
        size = int.from_bytes(header[3:], "big")
        assert len(raw.recv(size, WAITALL)) == size
        yield size - 24


def set_limit(sender: KtlsSocket, limit: int) -> None:
    sender.setsockopt(SOL_TLS, MAX_PAYLOAD_LEN, struct.pack("H", limit))


def test_the_payload_limit_cuts_records(tcp_pair: MakePair) -> None:
    """standalone.tls_12_tx_max_payload_len. S1.4-16."""
    near, raw = tcp_pair()
    sender = attach(near)
    install(sender, TLS_TX, CCM12)
    set_limit(sender, 128)
    assert sender.getsockopt(SOL_TLS, MAX_PAYLOAD_LEN, 2) == struct.pack("H", 128)
    assert sender.send(bytes(1024)) == 1024
    sender.close()
    sizes = list(payload_sizes(raw))
    assert max(sizes) <= 128
    assert sum(sizes) == 1024


def test_the_payload_limit_stays_while_a_record_is_open(tcp_pair: MakePair) -> None:
    """standalone.tls_12_tx_max_payload_len_open_rec. S1.4-17."""
    near, raw = tcp_pair()
    sender = attach(near)
    install(sender, TLS_TX, CCM12)
    set_limit(sender, 512)
    assert sender.send(bytes(256), MORE) == 256
    with fails(errno.EBUSY):
        set_limit(sender, 128)
    assert sender.send(bytes(768), socket.MSG_EOR) == 768
    sender.close()
    sizes = list(payload_sizes(raw))
    assert max(sizes) <= 512
    assert sum(sizes) == 1024


def test_the_ulp_needs_a_connection() -> None:
    """standalone.non_established. S1.3-3, S1.3-5."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        fresh = socket.socket()
        # The same socket by a second descriptor: a KtlsSocket itself does not connect.
        with socket.socket(fileno=os.dup(fresh.fileno())) as plain, KtlsSocket(fresh) as end:
            with fails(errno.ENOTCONN):
                end.setsockopt(*ULP)
            plain.connect(address)
            end.setsockopt(*ULP)
            with fails(errno.EEXIST):
                end.setsockopt(*ULP)
        with KtlsSocket(listener) as end, fails(errno.ENOTCONN):
            end.setsockopt(*ULP)


def test_the_longest_struct_is_accepted(tls_basic: KtlsEnds) -> None:
    """standalone.keysizes. S1.2-2."""
    install(tls_basic.sender, TLS_TX, GCM12)
    install(tls_basic.receiver, TLS_RX, GCM12)


def test_expect_no_pad_is_returned_as_it_was_set(tls_basic: KtlsEnds) -> None:
    """standalone.no_pad. S1.4-15."""
    install(tls_basic.sender, TLS_TX, filled(AES_GCM_256, 0, TLS13))
    install(tls_basic.receiver, TLS_RX, filled(AES_GCM_256, 0, TLS13))
    for value in (struct.pack("I", 1), struct.pack("I", 0)):
        tls_basic.receiver.setsockopt(SOL_TLS, EXPECT_NO_PAD, value)
        assert tls_basic.receiver.getsockopt(SOL_TLS, EXPECT_NO_PAD, 4) == value


def test_ipv6_addresses_are_unchanged() -> None:
    """standalone.tls_v6ops. S1.3-11."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        near = socket.create_connection(listener.getsockname()[:2])
        far, address = listener.accept()
    with far, KtlsSocket(near) as end:
        before = end.getsockname()
        end.setsockopt(*ULP)
        for direction in (TLS_TX, TLS_RX):
            install(end, direction, GCM12)
        assert end.getsockname() == before == address


def test_records_that_came_before_the_ulp_are_read(tcp_pair: MakePair) -> None:
    """standalone.prequeue. S1.4-12."""
    near, far = tcp_pair()
    sender = attach(near)
    install(sender, TLS_TX, GCM12)
    assert sender.send(pattern(20_000), DONTWAIT) == 20_000
    receiver = attach(far)
    install(receiver, TLS_RX, GCM12)
    assert receiver.recv(20_000, WAITALL) == pattern(20_000)


def unread(end: KtlsSocket) -> int:
    return int.from_bytes(fcntl.ioctl(end.fileno(), termios.FIONREAD, bytes(4)), "little")


def test_a_receive_that_began_before_the_key_returns_sealed_bytes(tls_basic: KtlsEnds) -> None:
    """standalone.data_steal, with a thread in place of a process. S1.3-9."""
    sender, receiver = tls_basic.sender, tls_basic.receiver
    with blocked(lambda: receiver.recv(10_001, WAITALL)) as got:
        assert sender.send(b"s") == 1
        wait_until(lambda: unread(receiver) == 0)
        install(sender, TLS_TX, GCM12)
        install(receiver, TLS_RX, GCM12)
        assert sender.send(pattern(20_000)) == 20_000
    wire = GCM12.seal(pattern(20_000)[:16384])
    assert got == [b"s" + wire[:10_000]]
    with pytest.raises(OSError, match=r"."):
        receiver.recv(20_000, DONTWAIT)
