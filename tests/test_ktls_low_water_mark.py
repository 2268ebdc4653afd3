"""SO_RCVLOWAT of a KtlsSocket, and polls after its own shutdown."""

import errno
import select
import socket
import struct
from collections.abc import Callable

import pytest

from ktls_fast import KtlsSocket
from tests.ktls_ends import (
    DONTWAIT,
    TLS_RX,
    MakePair,
    attach,
    fails,
    generation,
    install,
    raw_over,
)

KEY = generation(0)


@pytest.mark.parametrize(
    "wait",
    [lambda end: end.poll(select.POLLIN, 10), lambda end: end.poll(select.POLLIN, 0)],
)
def test_the_low_water_mark_counts_ciphertext_for_poll(
    wait: Callable[[KtlsSocket], int], tcp_pair: MakePair
) -> None:
    near, far = tcp_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 60)
    end = attach(far)
    install(end, TLS_RX, KEY)
    assert end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 60
    near.sendall(KEY.seal(b"hello"))
    assert end.poll(select.POLLIN, 0) == 0
    near.sendall(KEY.seal(b"again", nth=1) + KEY.seal(b"once", nth=2))
    assert wait(end) == select.POLLIN
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, struct.pack("i", 500))
    assert end.poll(select.POLLIN, 0) == 0
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    assert end.poll(select.POLLIN, 0) == select.POLLIN
    assert end.recv(100) == b"helloagainonce"


def test_a_low_water_mark_of_the_wrong_kind_is_refused(tcp_pair: MakePair) -> None:
    end = attach(tcp_pair()[0])
    for value in (b"", b"abc"):
        with fails(errno.EINVAL):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, value)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, struct.pack("iq", 7, 0))
    assert end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 7
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 0)
    assert end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1


def test_after_its_own_shutdown_only_ciphertext_is_readable(tcp_pair: MakePair) -> None:
    near, end = raw_over(tcp_pair)
    near.sendall(KEY.seal(b"hello") + KEY.seal(b"again", nth=1)[:9])
    end.shutdown(socket.SHUT_WR)
    assert end.poll(select.POLLIN, 0) == select.POLLIN
    assert end.recv(1) == b"h"
    assert end.poll(select.POLLIN, 0) == select.POLLIN
    near.sendall(KEY.seal(b"again", nth=1)[9:])
    assert end.recv(4, DONTWAIT) == b"ello"
    assert end.recv(3, DONTWAIT) == b"aga"
    assert end.poll(select.POLLIN, 0) == 0
    assert end.recv(100, DONTWAIT) == b"in"
