"""Options of KtlsSocket, its timeouts and its end: ``docs/kernel-rules.md``, section 1."""

import errno
import socket
import struct
from itertools import product

import pytest

from ktls_fast import KtlsError, KtlsSocket, Namespace, constants
from tests.ktls_ends import (
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    attach,
    closed_at_the_end,
    ends_over,
    fails,
    generation,
    install,
)
from tests.reference import AES_GCM_256, TLS12, TLS13, TrafficKey, traffic_key

ONE = struct.pack("I", 1)


@pytest.fixture
def end(tcp_pair: MakePair) -> KtlsSocket:
    """Return a socket with the ULP and no key."""
    return attach(tcp_pair()[0])


def test_the_socket_is_taken_over_with_its_timeout(tcp_pair: MakePair) -> None:
    sock, _ = tcp_pair()
    sock.settimeout(7.5)
    fd = sock.fileno()
    with KtlsSocket(sock) as end:
        assert (sock.fileno(), end.fileno(), end.gettimeout()) == (-1, fd, 7.5)
    assert end.fileno() == -1
    with fails(errno.EBADF):
        end.recv(1)


def test_addresses_are_those_of_the_connection(ends: KtlsEnds) -> None:
    """S1.3-11."""
    assert ends.sender.getpeername() == ends.receiver.getsockname()


def test_timeouts_are_those_of_sockets(end: KtlsSocket) -> None:
    end.setblocking(False)
    assert (end.gettimeout(), end.getblocking()) == (0.0, False)
    with pytest.raises(BlockingIOError):
        end.recv(1)
    end.settimeout(0.01)
    with pytest.raises(TimeoutError):
        end.recv(1)
    end.setblocking(True)
    assert end.gettimeout() is None
    with pytest.raises(ValueError, match="-1"):
        end.settimeout(-1.0)


def test_options_of_other_levels_are_passed_to_tcp(end: KtlsSocket) -> None:
    """S1.3-10."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_the_ulp_is_attached_once(tcp_pair: MakePair) -> None:
    """S1.3-3, S1.3-7."""
    end = closed_at_the_end(KtlsSocket(tcp_pair()[0]))
    assert end.getsockopt(socket.IPPROTO_TCP, TCP_ULP, 16) == b""
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    with fails(errno.EEXIST):
        end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    assert end.getsockopt(socket.IPPROTO_TCP, TCP_ULP, 16) == b"tls".ljust(16, b"\0")


def test_the_ulp_needs_an_established_connection(tcp_pair: MakePair) -> None:
    """S1.3-5."""
    near, far = tcp_pair()
    far.shutdown(socket.SHUT_WR)
    with fails(errno.ENOTCONN):
        closed_at_the_end(KtlsSocket(near)).setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    with socket.socket() as fresh, fails(errno.ENOTCONN):
        closed_at_the_end(KtlsSocket(fresh)).setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")


def test_without_the_ulp_there_are_no_tls_options(tcp_pair: MakePair) -> None:
    """S1.3-8."""
    end = closed_at_the_end(KtlsSocket(tcp_pair()[0]))
    with fails(errno.ENOPROTOOPT):
        install(end, TLS_TX, generation(0))
    with fails(errno.EOPNOTSUPP):
        end.getsockopt(SOL_TLS, TLS_TX, 40)


FIRST_KEYS = {
    "nothing": (b"", errno.EINVAL),
    "three bytes": (generation(0).struct()[:3], errno.EINVAL),
    "head only": (generation(0).struct()[:4], errno.EINVAL),
    "one byte short": (generation(0).struct()[:-1], errno.EINVAL),
    "one byte long": (generation(0).struct() + b"\0", errno.EINVAL),
    "version": (b"\5\3" + generation(0).struct()[2:], errno.EINVAL),
    "cipher": (generation(0).struct()[:2] + b"\x3b\0" + generation(0).struct()[4:], errno.EINVAL),
}


@pytest.mark.parametrize(("value", "code"), FIRST_KEYS.values(), ids=FIRST_KEYS.keys())
@pytest.mark.parametrize("direction", [TLS_TX, TLS_RX])
def test_a_refused_first_key_changes_nothing(
    tcp_pair: MakePair, direction: int, value: bytes, code: int
) -> None:
    """S1.4-2, S1.4-5, S1.4-7, S1.4-8, S1.4-9."""
    namespace = Namespace()
    end = attach(tcp_pair()[0], namespace)
    with fails(code):
        end.setsockopt(SOL_TLS, direction, value)
    with fails(errno.EBUSY):
        end.getsockopt(SOL_TLS, direction, 4)
    assert not any(namespace.tls_stat().values())
    install(end, direction, generation(0))


def test_a_null_value_is_refused(end: KtlsSocket) -> None:
    """S1.4-2."""
    with fails(errno.EINVAL):
        end.setsockopt(SOL_TLS, TLS_TX, None, 40)


def test_both_directions_have_one_version_and_cipher(end: KtlsSocket) -> None:
    """S1.4-6."""
    install(end, TLS_TX, generation(0))
    with fails(errno.EINVAL):
        install(end, TLS_RX, traffic_key(TLS13, AES_GCM_256))
    with fails(errno.EINVAL):
        install(end, TLS_RX, generation(0, TLS12))
    install(end, TLS_RX, generation(1))


def test_a_refusal_names_what_was_wrong(end: KtlsSocket) -> None:
    with pytest.raises(KtlsError, match="39 bytes instead of 40"):
        end.setsockopt(SOL_TLS, TLS_TX, generation(0).struct()[:-1])


def test_tls12_keys_are_set_once(tcp_pair: MakePair) -> None:
    """S1.4-2, S1.4-3."""
    ends = ends_over(tcp_pair, TLS12)
    with fails(errno.EINVAL):
        ends.sender.setsockopt(SOL_TLS, TLS_TX, b"\3\3\x33")
    assert ends.counted("TlsTxRekeyError") == 0
    with fails(errno.EBUSY):
        install(ends.sender, TLS_TX, generation(0, TLS12))
    assert ends.counted("TlsTxRekeyError") == 1


def test_every_cipher_carries_records_both_ways(tcp_pair: MakePair, key: TrafficKey) -> None:
    """S1.2-2, S1.4-10."""
    near, far = map(attach, tcp_pair())
    for end, direction in product((near, far), (TLS_TX, TLS_RX)):
        install(end, direction, key)
    for sender, receiver in ((near, far), (far, near)):
        assert sender.send(b"data") == 4
        assert receiver.recv(100) == b"data"


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_getsockopt_returns_the_current_record_number(tcp_pair: MakePair, version: int) -> None:
    """S1.5-3, S1.2-4, S2.1-4."""
    ends, key = ends_over(tcp_pair, version), generation(0, version)
    for number in range(3):
        for end, direction in ((ends.sender, TLS_TX), (ends.receiver, TLS_RX)):
            live = bytes(end.getsockopt(SOL_TLS, direction, 40))
            assert live[-8:] == struct.pack(">Q", number)
            moved = int.from_bytes(live[4:12], "big") - int.from_bytes(key.iv, "big")
            assert moved == (number if version == TLS12 else 0)
        ends.sender.send(b"data")
        assert ends.receiver.recv(4) == b"data"


def test_the_numbers_are_the_kernels() -> None:
    """S1.1-1."""
    options = constants.TLS_TX, constants.TLS_RX, constants.TLS_TX_ZEROCOPY_RO
    more = constants.TLS_RX_EXPECT_NO_PAD, constants.TLS_TX_MAX_PAYLOAD_LEN
    assert (constants.SOL_TLS, constants.TCP_ULP) == (282, 31)
    assert (*options, *more) == (1, 2, 3, 4, 5)
    assert (constants.TLS_SET_RECORD_TYPE, constants.TLS_GET_RECORD_TYPE) == (1, 2)


@pytest.mark.parametrize("size", [1, 3, 5, 39, 41, 56])
def test_getsockopt_needs_the_length_of_the_head_or_the_struct(ends: KtlsEnds, size: int) -> None:
    """S1.5-1, S1.5-2."""
    with fails(errno.EINVAL):
        ends.sender.getsockopt(SOL_TLS, TLS_TX, size)


@pytest.mark.parametrize("optname", [0, 6, 99])
def test_unknown_options_are_enoprotoopt(ends: KtlsEnds, optname: int) -> None:
    """S1.4-1."""
    with fails(errno.ENOPROTOOPT):
        ends.sender.setsockopt(SOL_TLS, optname, ONE)
    with fails(errno.ENOPROTOOPT):
        ends.sender.getsockopt(SOL_TLS, optname, 4)


def test_no_pad_is_for_tls13_receivers(ends: KtlsEnds) -> None:
    """S1.4-15."""
    with fails(errno.EINVAL):
        ends.sender.setsockopt(SOL_TLS, 4, ONE)
    ends.receiver.setsockopt(SOL_TLS, 4, ONE + bytes(4))
    assert ends.receiver.getsockopt(SOL_TLS, 4) == 1
    for value in (struct.pack("I", 2), b"\1", ONE + ONE):
        with fails(errno.EINVAL):
            ends.receiver.setsockopt(SOL_TLS, 4, value)
    assert ends.receiver.getsockopt(SOL_TLS, 4, 4) == ONE


@pytest.mark.parametrize(
    ("limit", "taken"), [(62, False), (63, True), (16384, True), (16385, False)]
)
def test_the_payload_limit_counts_the_type_in_tls13(
    ends: KtlsEnds, limit: int, taken: bool
) -> None:
    """S1.4-16."""
    before = ends.sender.getsockopt(SOL_TLS, 5, 2)
    value = struct.pack("H", limit)
    if taken:
        ends.sender.setsockopt(SOL_TLS, 5, value)
    else:
        with fails(errno.EINVAL):
            ends.sender.setsockopt(SOL_TLS, 5, value)
    assert ends.sender.getsockopt(SOL_TLS, 5, 2) == (value if taken else before)


def test_gauges_fall_when_the_sockets_close(tcp_pair: MakePair) -> None:
    """S6.1-2."""
    ends = ends_over(tcp_pair)
    gauges = ("TlsCurrTxSw", "TlsCurrRxSw")
    assert [ends.namespace.tls_stat()[name] for name in gauges] == [1, 1]
    ends.sender.close()
    ends.receiver.close()
    ends.receiver.close()
    assert [ends.namespace.tls_stat()[name] for name in gauges] == [0, 0]
