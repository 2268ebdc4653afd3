"""``KtlsSocket.info()``: the state that sock_diag reports (``docs/kernel-rules.md``, S6.2)."""

import errno
import struct

import pytest

from ktls_fast import CipherType, KtlsSocket, TlsConf, TlsInfo, Version
from tests.ktls_ends import (
    SOL_TLS,
    TLS_RX,
    TLS_TX,
    MakePair,
    attach,
    closed_at_the_end,
    ends_over,
    fails,
    generation,
    install,
)
from tests.reference import TLS12, TLS13, TrafficKey

BARE = TlsInfo(None, None, TlsConf.BASE, TlsConf.BASE, False, False, 16384)


@pytest.fixture
def end(tcp_pair: MakePair) -> KtlsSocket:
    """Return a socket with the ULP and no key."""
    return attach(tcp_pair()[0])


def test_without_the_ulp_info_is_none(tcp_pair: MakePair) -> None:
    assert closed_at_the_end(KtlsSocket(tcp_pair()[0])).info() is None


def test_without_a_key_version_and_cipher_are_left_out(end: KtlsSocket) -> None:
    """S6.2-1."""
    assert end.info() == BARE
    with fails(errno.EINVAL):
        end.setsockopt(SOL_TLS, TLS_TX, generation(0).struct()[:-1])
    assert end.info() == BARE


@pytest.mark.parametrize("direction", [TLS_TX, TLS_RX])
def test_info_distinguishes_the_directions(
    end: KtlsSocket, direction: int, key: TrafficKey
) -> None:
    """S6.2-1, S6.2-2, S1.4-10."""
    install(end, direction, key)
    confs = {TLS_TX: TlsConf.BASE, TLS_RX: TlsConf.BASE, direction: TlsConf.SW}
    assert end.info() == BARE._replace(
        version=Version(key.version),
        cipher_type=CipherType(key.cipher.cipher_type),
        tx_conf=confs[TLS_TX],
        rx_conf=confs[TLS_RX],
    )


def test_info_contains_the_options(tcp_pair: MakePair) -> None:
    """S6.2-3."""
    ends = ends_over(tcp_pair)
    ends.sender.setsockopt(SOL_TLS, 5, struct.pack("H", 100))
    ends.sender.setsockopt(SOL_TLS, 3, struct.pack("I", 1))
    ends.receiver.setsockopt(SOL_TLS, 4, struct.pack("I", 1))
    sender, receiver = ends.sender.info(), ends.receiver.info()
    assert sender is not None
    assert receiver is not None
    assert (sender.tx_max_payload_len, receiver.tx_max_payload_len) == (100, 16384)
    assert (sender.rx_no_pad, receiver.rx_no_pad) == (False, True)
    assert sender.zc_ro_tx is False


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_info_does_not_contain_a_pause_or_a_rekey(tcp_pair: MakePair, version: int) -> None:
    """S6.2-4."""
    ends = ends_over(tcp_pair, version)
    before = ends.receiver.info()
    ends.pause()
    assert ends.receiver.info() == before
    if version == TLS13:
        ends.rekey_receiver(1)
        assert ends.receiver.info() == before


def test_info_of_a_closed_socket_raises_ebadf(end: KtlsSocket) -> None:
    end.close()
    with fails(errno.EBADF):
        end.info()
