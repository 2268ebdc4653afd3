"""KtlsSelector: ``docs/kernel-rules.md``, S3.6 and K-13, and the stdlib's rules for all else."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE

import pytest

from ktls_fast import KtlsSocket
from ktls_fast._tools.conformance.blocked import once_blocked, wait_until_blocked
from ktls_fast.selectors import KtlsSelector
from tests.ktls_ends import (
    KtlsEnds,
    MakePair,
    closed_at_the_end,
    ends_over,
    fails,
    generation,
    raw_over,
    receive,
)
from tests.reference import HANDSHAKE

SHORT, LONG = 0.2, 60.0
BOTH = EVENT_READ | EVENT_WRITE


@pytest.fixture
def selector() -> Iterator[KtlsSelector]:
    with KtlsSelector() as made:
        yield made


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    made = os.pipe()
    yield made
    for fd in made:
        os.close(fd)


def ready(selector: KtlsSelector, timeout: float | None = 0) -> dict[object, int]:
    """Return the events that select reports, by the registered data."""
    return {key.data: events for key, events in selector.select(timeout)}


def sleeps_through(selector: KtlsSelector) -> bool:
    """Return True if a select reports nothing, and uses little CPU time while it waits."""
    before = time.thread_time()
    found = selector.select(SHORT)
    return not found and time.thread_time() - before < SHORT / 4


def test_plaintext_that_waits_inside_is_ready(selector: KtlsSelector, ends: KtlsEnds) -> None:
    selector.register(ends.receiver, EVENT_READ, "end")
    ends.sender.send(b"one")
    ends.sender.send(b"two")
    for data in (b"o", b"netw", b"o"):
        assert ready(selector, None) == {"end": EVENT_READ}
        assert ends.receiver.recv(len(data)) == data
    assert ready(selector) == {}


@pytest.mark.parametrize("cut", [3, 5, 20])
def test_half_a_record_is_not_ready(selector: KtlsSelector, tcp_pair: MakePair, cut: int) -> None:
    raw, receiver = raw_over(tcp_pair)
    selector.register(receiver, EVENT_READ, "end")
    record = generation(0).seal(b"hello")
    raw.sendall(record[:cut])
    assert sleeps_through(selector)
    with once_blocked(lambda: raw.sendall(record[cut:])):
        assert ready(selector, LONG) == {"end": EVENT_READ}
    assert receiver.recv(9) == b"hello"


def test_k13_a_pending_key_update_hides_records_until_the_rekey(
    selector: KtlsSelector, ends: KtlsEnds
) -> None:
    selector.register(ends.receiver, BOTH, "end")
    ends.send_key_update()
    assert ready(selector, LONG) == {"end": BOTH}
    assert receive(ends.receiver)[1] == HANDSHAKE
    ends.rekey_sender(1)
    ends.sender.send(b"new")
    assert ready(selector) == {"end": EVENT_WRITE}
    selector.modify(ends.receiver, EVENT_READ, "end")
    assert sleeps_through(selector)
    with once_blocked(lambda: ends.rekey_receiver(1)):
        assert ready(selector, LONG) == {"end": EVENT_READ}
    assert ends.receiver.recv(9) == b"new"


def test_fin_is_ready_even_after_a_key_update(selector: KtlsSelector, ends: KtlsEnds) -> None:
    ends.pause()
    selector.register(ends.receiver, EVENT_READ, "end")
    with once_blocked(lambda: ends.sender.shutdown(1)):
        assert ready(selector, LONG) == {"end": EVENT_READ}


def test_an_error_is_ready_for_all_requested_events(
    selector: KtlsSelector, tcp_pair: MakePair
) -> None:
    raw, receiver = raw_over(tcp_pair)
    selector.register(receiver, EVENT_READ, "end")
    with once_blocked(lambda: raw.sendall(b"\x17\3\3\xff\xff")):
        assert ready(selector, LONG) == {"end": EVENT_READ}
    selector.modify(receiver, BOTH, "end")
    assert ready(selector) == {"end": BOTH}
    with fails(90):
        receiver.recv(9)
    assert ready(selector) == {"end": EVENT_WRITE}


def test_a_full_sender_is_ready_when_the_peer_has_read(
    selector: KtlsSelector, ends: KtlsEnds
) -> None:
    left = ends.fill(bytes(16384))
    selector.register(ends.sender, EVENT_WRITE, "end")
    assert sleeps_through(selector)
    selector.register(ends.receiver, EVENT_READ, "peer")
    while left:
        assert ready(selector, LONG).get("peer") == EVENT_READ
        left -= len(ends.receiver.recv(1 << 20))
    selector.unregister(ends.receiver)
    assert ready(selector, LONG) == {"end": EVENT_WRITE}


def test_ordinary_files_work_in_the_same_selector(
    selector: KtlsSelector, tcp_pair: MakePair, pipe: tuple[int, int]
) -> None:
    ends, (near, far) = ends_over(tcp_pair), tcp_pair()
    selector.register(ends.receiver, EVENT_READ, "end")
    selector.register(pipe[0], EVENT_READ, "pipe")
    selector.register(far, BOTH, "tcp")
    assert ready(selector) == {"tcp": EVENT_WRITE}
    selector.modify(far, EVENT_READ, "tcp")
    assert sleeps_through(selector)
    with once_blocked(lambda: os.write(pipe[1], b"x")):
        assert ready(selector, LONG) == {"pipe": EVENT_READ}
    near.send(b"plain")
    assert ready(selector, LONG) == {"pipe": EVENT_READ, "tcp": EVENT_READ}
    ends.sender.send(b"x")
    assert ends.receiver.poll(1, LONG) == 1
    assert ready(selector) == dict.fromkeys(["end", "pipe", "tcp"], EVENT_READ)
    os.read(pipe[0], 9)
    far.recv(9)
    assert ready(selector) == {"end": EVENT_READ}


def test_a_ktls_socket_without_a_key_is_ready_as_tcp_is(
    selector: KtlsSelector, tcp_pair: MakePair
) -> None:
    near, far = tcp_pair()
    selector.register(closed_at_the_end(KtlsSocket(far)), EVENT_READ, "end")
    assert sleeps_through(selector)
    with once_blocked(lambda: near.send(b"plain")):
        assert ready(selector, LONG) == {"end": EVENT_READ}


def test_the_timeout_is_obeyed(selector: KtlsSelector, ends: KtlsEnds) -> None:
    selector.register(ends.receiver, EVENT_READ)
    for timeout in (0, -1, SHORT):
        before = time.monotonic()
        assert selector.select(timeout) == []
        assert max(timeout, 0) <= time.monotonic() - before < LONG


def test_registrations_by_another_thread_are_noticed(
    selector: KtlsSelector, ends: KtlsEnds
) -> None:
    ends.sender.send(b"data")
    with once_blocked(lambda: selector.register(ends.receiver, EVENT_READ, "end")):
        assert ready(selector, LONG) == {"end": EVENT_READ}


def test_plaintext_left_by_another_reader_is_noticed(
    selector: KtlsSelector, ends: KtlsEnds
) -> None:
    selector.register(ends.receiver, EVENT_READ, "end")
    reader = threading.Thread(target=ends.receiver.recv, args=(2,))
    reader.start()
    assert reader.native_id
    wait_until_blocked(reader.native_id)
    with once_blocked(lambda: ends.sender.send(b"hello")):
        assert ready(selector, LONG) == {"end": EVENT_READ}
    reader.join(LONG)
    assert ends.receiver.recv(9) == b"llo"


def test_two_selectors_watch_one_socket(selector: KtlsSelector, ends: KtlsEnds) -> None:
    ends.pause()
    with KtlsSelector() as other:
        for each in (selector, other):
            each.register(ends.receiver, EVENT_READ, "end")
        ends.rekey_sender(1)
        ends.sender.send(b"new")
        assert ready(selector) == ready(other) == {}
        ends.rekey_receiver(1)
        assert ready(selector, LONG) == ready(other, LONG) == {"end": EVENT_READ}


def test_a_closed_socket_is_ready_and_can_be_unregistered(
    selector: KtlsSelector, ends: KtlsEnds
) -> None:
    key = selector.register(ends.receiver, EVENT_READ, "end")
    with once_blocked(ends.receiver.close):
        assert ready(selector, LONG) == {"end": EVENT_READ}
    assert selector.unregister(ends.receiver) == key
    assert ready(selector) == {}


def test_an_unregistered_socket_is_not_reported(selector: KtlsSelector, ends: KtlsEnds) -> None:
    selector.register(ends.receiver, EVENT_READ)
    ends.sender.send(b"data")
    selector.unregister(ends.receiver)
    assert sleeps_through(selector)


def test_keys_and_map_are_those_of_the_stdlib(selector: KtlsSelector, ends: KtlsEnds) -> None:
    key = selector.register(ends.receiver, EVENT_READ, "data")
    assert tuple(key) == (ends.receiver, ends.receiver.fileno(), EVENT_READ, "data")
    assert selector.get_key(ends.receiver) == selector.get_key(key.fd) == key
    files = selector.get_map()
    assert (list(files), len(files), files[ends.receiver]) == ([key.fd], 1, key)
    assert ends.sender not in files
    changed = selector.modify(ends.receiver, BOTH)
    assert changed == key._replace(events=BOTH, data=None)
    assert files[ends.receiver] == changed


def test_refused_calls_change_nothing(selector: KtlsSelector, ends: KtlsEnds) -> None:
    key = selector.register(ends.receiver, EVENT_READ)
    with pytest.raises(KeyError, match="already registered"):
        selector.register(ends.receiver, EVENT_WRITE)
    for events in (0, 4, 7, -1):
        with pytest.raises(ValueError, match=f"{events} is neither"):
            selector.register(ends.sender, events)
        with pytest.raises(ValueError, match=f"{events} is neither"):
            selector.modify(ends.receiver, events)
    for call in (selector.unregister, selector.get_key):
        with pytest.raises(KeyError, match="not registered"):
            call(ends.sender)
    with pytest.raises(ValueError, match="descriptor -1"):
        selector.register(-1, EVENT_READ)
    assert dict(selector.get_map()) == {key.fd: key}


def test_a_closed_selector_has_no_keys(ends: KtlsEnds) -> None:
    selector = KtlsSelector()
    selector.register(ends.receiver, EVENT_READ)
    selector.close()
    selector.close()
    with pytest.raises(RuntimeError, match="closed"):
        selector.get_key(ends.receiver)
    assert len(selector.get_map()) == 0
    assert ends.receiver.poll(4, 0) == 4


def test_a_thousand_alternating_records_pass_through_one_selector(
    selector: KtlsSelector, tcp_pair: MakePair
) -> None:
    pairs = [ends_over(tcp_pair) for _ in range(4)]
    got = dict.fromkeys(range(4), b"")
    for number, pair in enumerate(pairs):
        pair.receiver.setblocking(False)
        selector.register(pair.receiver, EVENT_READ, number)
    for turn in range(1000):
        pairs[turn % 4].sender.send(b"%04d" % turn)
    while sum(map(len, got.values())) < 4000:
        for key, _ in selector.select(LONG):
            assert isinstance(key.fileobj, KtlsSocket)
            got[key.data] += key.fileobj.recv(7)
    for number, data in got.items():
        assert data == b"".join(b"%04d" % turn for turn in range(number, 1000, 4))


def test_a_unix_socket_is_an_ordinary_file(selector: KtlsSelector) -> None:
    near, far = socket.socketpair()
    with near, far:
        selector.register(far, EVENT_READ, "unix")
        near.close()
        assert ready(selector, LONG) == {"unix": EVENT_READ}
