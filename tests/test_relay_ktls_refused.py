"""KtlsSockets that a relay refuses, and calls on one that it has accepted."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import ktls_fast
from ktls_fast import KeyExpiredError, KtlsError, KtlsSocket, OffloadQueue
from ktls_fast._kernel_socket import KernelSocket
from tests.forked import ForkedCall, in_child
from tests.ktls_ends import (
    DONTWAIT,
    KEY_UPDATE,
    TLS_RX,
    TLS_TX,
    attach,
    fails,
    generation,
    install,
    receive,
    send_typed,
)
from tests.offload_queue.ends import attach as attach_to
from tests.peers.raw import HANDSHAKE
from tests.peers.support import socket_pair
from tests.relay_ktls import BACK, THERE, End, added, ktls_link, link, pumped, send_raw

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(
    relay: ktls_fast.Relay, a: End, b: End, number: int, text: str
) -> pytest.ExceptionInfo[OSError]:
    """Both orders are refused, and no pair is under way."""
    for sides in ((a, b), (b, a)):
        with pytest.raises(OSError, match=text) as caught:
            relay.add(*sides)
        assert caught.value.errno == number
    assert len(relay) == 0
    return caught


def still_usable(near: End, far: End) -> None:
    """Check that data still passes in both directions."""
    for one, other in ((near, far), (far, near)):
        one.sendall(b"as before")
        assert other.recv(100) == b"as before"


@pytest.mark.parametrize("direction", [TLS_TX, TLS_RX])
def test_socket_that_has_one_key_only_is_refused(relay: ktls_fast.Relay, direction: int) -> None:
    """Such a relay would send plaintext or pass on ciphertext."""
    missing = {TLS_TX: "TLS_RX", TLS_RX: "TLS_TX"}[direction]
    numbers = {TLS_TX: THERE, TLS_RX: BACK}
    near, far = (attach(sock) for sock in socket_pair())
    other, far_other = link("plain")
    with near, far, other, far_other:
        install(near, direction, generation(numbers[direction]))
        install(far, 3 - direction, generation(numbers[direction]))
        refused(relay, near, other, errno.EINVAL, f"without a {missing} key")
        still_usable(near, far)
        still_usable(other, far_other)


def test_socket_without_the_ulp_is_refused(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    other, far_other = link("tls")
    with KtlsSocket(near) as side, far, other, far_other:
        refused(relay, side, other, errno.EINVAL, "without a TLS_TX key")
        still_usable(side, far)
        still_usable(other, far_other)


def test_socket_over_a_queue_is_refused(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    other, far_other = link("plain")
    with OffloadQueue() as queue, far, other, far_other, attach_to(near, queue) as side:
        peer = attach(far)
        for end, direction, number in (
            (side, TLS_TX, THERE),
            (side, TLS_RX, BACK),
            (peer, TLS_RX, THERE),
            (peer, TLS_TX, BACK),
        ):
            install(end, direction, generation(number))
        refused(relay, side, other, errno.EOPNOTSUPP, "over an OffloadQueue")
        still_usable(side, peer)
        still_usable(other, far_other)


def test_a_queue_without_workers_does_not_count_as_a_queue(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    other, far_other = link("plain")
    with OffloadQueue(0) as queue, far, other, far_other, attach_to(near, queue) as side:
        install(side, TLS_TX, generation(THERE))
        install(side, TLS_RX, generation(BACK))
        added(relay, side, other)
        relay.close(drain=0)


def test_socket_of_the_kernel_is_refused(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    other, far_other = link("tls")
    with KernelSocket.over(near) as side, far, other, far_other:
        text = "a KernelSocket is not pumped: make a KtlsSocket of the socket instead"
        caught = refused(relay, side, other, errno.EOPNOTSUPP, text)
        assert isinstance(caught.value, KtlsError)
        still_usable(side, far)
        still_usable(other, far_other)


def test_paused_socket_is_refused_until_it_has_its_key(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        send_typed(far, KEY_UPDATE, HANDSHAKE)
        install(far, TLS_TX, generation(BACK + 1))
        assert receive(near) == (KEY_UPDATE, HANDSHAKE)
        caught = refused(relay, near, other, errno.EKEYEXPIRED, "install the next receive key")
        assert isinstance(caught.value, KeyExpiredError)
        install(near, TLS_RX, generation(BACK + 1))
        still_usable(near, far)
        added(relay, near, other)
        far.sendall(b"through")
        assert far_other.recv(100) == b"through"


def test_a_socket_after_a_bad_header_is_refused(relay: ktls_fast.Relay) -> None:
    """TCP would report unread bytes forever."""
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        send_raw(far, b"GET / HTTP/1.1\r\n")
        with fails(errno.EINVAL):
            near.recv(1)
        refused(relay, near, other, errno.EBADMSG, "a bad record header")
        near.sendall(b"the other way is open")
        assert far.recv(100) == b"the other way is open"
        still_usable(other, far_other)


def test_a_socket_in_use_is_refused_and_keeps_working(relay: ktls_fast.Relay) -> None:
    other, far_other = link("plain")
    with other, far_other, pumped(relay, "ktls") as pair:
        assert isinstance(pair.b, KtlsSocket)
        with pair.a.dup() as duplicate:
            for side in (pair.a, duplicate, pair.b):
                with pytest.raises(BlockingIOError, match="another thread or relay"):
                    relay.add(side, other)
                with pytest.raises(BlockingIOError, match="another thread or relay"):
                    relay.add(other, side)
        pair.far_a.sendall(b"goes on")
        assert pair.far_b.recv(100) == b"goes on"
        still_usable(other, far_other)


def test_socket_on_both_sides_is_refused(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    with near, far, near.dup() as duplicate:
        for other in (near, duplicate):
            with pytest.raises(BlockingIOError):
                relay.add(near, other)
        still_usable(near, far)


def test_a_pumped_socket_refuses_other_calls(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        calls: list[Callable[[], object]] = [
            lambda: pair.a.recv(1, DONTWAIT),
            lambda: pair.a.send(b"x", DONTWAIT),
        ]
        for call in calls:
            with pytest.raises(BlockingIOError):
                call()
        pair.far_a.sendall(b"all for the relay")
        assert pair.far_b.recv(100) == b"all for the relay"


def test_closed_socket_is_refused(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    with far, other, far_other:
        kept = near.dup()
        near.close()
        refused(relay, near, other, errno.EBADF, "descriptor")
        still_usable(kept, far)
        kept.close()
        refused(relay, kept, other, errno.EBADF, "descriptor")
        still_usable(other, far_other)


def test_refusal_of_one_side_frees_the_other(relay: ktls_fast.Relay) -> None:
    with ExitStack() as stack:
        near, far = (stack.enter_context(end) for end in ktls_link())
        unkeyed, _ = (stack.enter_context(attach(sock)) for sock in socket_pair())
        refused(relay, near, unkeyed, errno.EINVAL, "without a TLS_TX key")
        still_usable(near, far)


def test_a_child_of_a_fork_cannot_use_a_pumped_socket(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    busy = f"{errno.EBUSY} "
    with near, far, other, far_other, pumped(relay) as pair:
        assert in_child(lambda: relay.add(near, other)).startswith(busy)
        assert in_child(lambda: pair.a.recv(1, DONTWAIT)).startswith(busy)
        assert in_child(pair.a.close) == "None"
        pair.far_a.sendall(b"goes on")
        assert pair.far_b.recv(100) == b"goes on"
        still_usable(near, far)


def test_socket_that_a_child_uses_is_refused(relay: ktls_fast.Relay) -> None:
    near, far = ktls_link()
    other, far_other = link("plain")
    with near, far, other, far_other:
        child = ForkedCall(lambda: near.send(b"from the child"))
        assert child.answer() == "14"
        refused(relay, near, other, errno.EBUSY, f"process {child.pid} has used it")
        still_usable(other, far_other)


def test_plain_sockets_need_a_side_with_records(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    with near, far, socket.socket() as other:
        refused(relay, near, other, errno.EINVAL, "must be a Connection or KtlsSocket")
