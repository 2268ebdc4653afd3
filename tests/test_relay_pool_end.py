"""A relay of many pairs: stopping, closing, dropping, forking, and the callbacks."""

from __future__ import annotations

import errno
import gc
import socket
import subprocess
import sys
from concurrent.futures import Future

import pytest

import ktls_fast
from ktls_fast import KtlsError, RelayHandle
from tests.forked import in_child
from tests.peers.ours import paired
from tests.peers.raw import ALERT, CLOSE_NOTIFY, DATA
from tests.peers.support import DEADLINE, socket_pair, start
from tests.relay_pairs import ENDLESS, flood, narrow, pumped, send_until_full


def test_a_stop_sends_close_notify_after_the_data_in_flight(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.far.sendall(b"in flight")
        assert pair.peer.receive() == (DATA, b"in flight")
        pair.handle.stop()
        assert pair.peer.receive() == (ALERT, CLOSE_NOTIFY)
        pair.peer.send(b"last words")
        pair.peer.close_notify()
        assert pair.far.recv(100) == b"last words"
        assert pair.far.recv(100) == b""
        assert pair.end().error is None
        pair.handle.stop()


def test_a_flood_of_records_without_data_starves_no_other_pair() -> None:
    relay = ktls_fast.Relay()
    with pumped(relay, suite=ENDLESS) as busy, pumped(relay) as other:
        flooding = start(lambda: flood(busy.peer.sock))
        for _ in range(20):
            other.far.sendall(b"goes on")
            assert other.peer.receive() == (DATA, b"goes on")
        assert not busy.handle.done
        relay.close(drain=0)
        assert busy.end().bytes == (0, 0)
        with pytest.raises(OSError, match=r"(?i)pipe|reset"):
            flooding.result(DEADLINE)


def test_close_waits_for_peers_to_end() -> None:
    relay = ktls_fast.Relay(threads=2)
    with pumped(relay) as pair:
        closing = start(lambda: relay.close(drain=DEADLINE))
        assert pair.peer.receive() == (ALERT, CLOSE_NOTIFY)
        pair.peer.close_notify()
        closing.result(DEADLINE)
        assert pair.ended.result(0).error is None
        assert pair.far.recv(1) == b""


def test_close_without_drain_cuts_pairs_with_data_in_flight() -> None:
    relay = ktls_fast.Relay()
    with pumped(relay) as stuck, pumped(relay) as idle:
        narrow(stuck)
        send_until_full(stuck.far)
        relay.close(drain=0)
        error = stuck.end().error
        assert isinstance(error, KtlsError)
        assert error.errno == errno.ECONNABORTED
        assert idle.end().error is None
        assert idle.peer.receive() == (ALERT, CLOSE_NOTIFY)
        assert idle.far.recv(1) == b""


def test_a_closed_relay_accepts_no_pair() -> None:
    relay = ktls_fast.Relay()
    relay.close()
    relay.close()
    near, far = socket_pair()
    with near, far, paired() as (conn, peer):
        with pytest.raises(OSError, match="the relay is closed") as caught:
            relay.add(conn, near)
        assert caught.value.errno == errno.EBADF
        peer.send(b"as before")
        assert conn.read() == b"as before"


def test_exception_of_a_callback_goes_to_the_hook(
    relay: ktls_fast.Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Future[object] = Future()
    monkeypatch.setattr(sys, "unraisablehook", lambda report: seen.set_result(report.exc_value))

    def fail(_handle: RelayHandle) -> None:
        msg = "of the callback"
        raise ValueError(msg)

    near, far = socket_pair()
    with near, far, paired() as (conn, peer):
        relay.add(conn, near, on_close=fail)
        peer.close_notify()
        far.close()
        assert str(seen.result(DEADLINE)) == "of the callback"
    with pumped(relay) as pair:
        pair.far.sendall(b"the thread goes on")
        assert pair.peer.receive() == (DATA, b"the thread goes on")


def test_callback_may_close_the_relay_and_both_sides() -> None:
    relay = ktls_fast.Relay()
    done: Future[bool] = Future()
    near, far = socket_pair()
    with far, paired() as (conn, peer):

        def close_all(handle: RelayHandle) -> None:
            conn.close()
            near.close()
            relay.close()
            done.set_result(handle.done)

        relay.add(conn, near, on_close=close_all)
        peer.close_notify()
        far.shutdown(socket.SHUT_WR)
        assert done.result(DEADLINE)
    relay.close()


def test_connection_is_free_again_after_the_end(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.peer.close_notify()
        pair.far.close()
        pair.ended.result(DEADLINE)
        assert pair.conn.read() == b""


def test_a_connection_closed_while_pumped_ends_its_pair(relay: ktls_fast.Relay) -> None:
    with pumped(relay) as pair:
        pair.conn.close()
        error = pair.end().error
        assert error is not None
        assert error.errno == errno.EBADF


def test_a_child_of_a_fork_is_refused_and_the_parent_continues(relay: ktls_fast.Relay) -> None:
    near, far = socket_pair()
    with near, far, pumped(relay) as pair, paired() as (conn, peer):
        busy = f"{errno.EBUSY} its threads are in process "
        assert in_child(lambda: relay.add(conn, near)).startswith(busy)
        peer.send(b"what was refused there stays here")
        assert conn.read() == b"what was refused there stays here"
        assert in_child(pair.handle.stop).startswith(busy)
        assert in_child(relay.close).startswith(busy)
        assert in_child(pair.conn.read).startswith(f"{errno.EBUSY} ")
        pair.far.sendall(b"goes on")
        assert pair.peer.receive() == (DATA, b"goes on")


def test_child_may_drop_its_copy() -> None:
    relays = [ktls_fast.Relay()]
    with pumped(relays[0]) as pair:
        assert in_child(lambda: _drop_and_collect(relays)) == "None"
        pair.far.sendall(b"goes on")
        assert pair.peer.receive() == (DATA, b"goes on")
        relays[0].close(drain=0)


def test_dropped_relay_ends_its_pairs() -> None:
    relays = [ktls_fast.Relay()]
    near, far = socket_pair()
    ended: Future[RelayHandle] = Future()
    with near, far, paired() as (conn, peer):
        relays[0].add(conn, near, on_close=ended.set_result)
        _drop_and_collect(relays)
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)
        assert ended.result(DEADLINE).error is None


def test_pairs_without_a_handle_or_callback_are_pumped(relay: ktls_fast.Relay) -> None:
    """There is no reference to the sides either: their descriptors are closed with the pair."""
    near, far = socket_pair()
    with far, paired() as (conn, peer):
        relay.add(conn, near)
        near.close()
        gc.collect()
        peer.send(b"through")
        assert far.recv(100) == b"through"
        peer.close_notify()
        assert far.recv(100) == b""
        far.close()
        assert peer.receive() == (ALERT, CLOSE_NOTIFY)


def test_the_interpreter_exits_with_an_active_pair() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXITING], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "under way\nended None\n", "")


EXITING = """
import ktls_fast
from tests.peers.ours import paired
from tests.peers.support import socket_pair

relay = ktls_fast.Relay(threads=2)
near, far = socket_pair()
pair = paired()
conn, peer = pair.__enter__()
relay.add(conn, near, on_close=lambda handle: print("ended", handle.error))
far.sendall(b"x")
peer.receive()
print("under way", flush=True)
"""


def _drop_and_collect(relays: list[ktls_fast.Relay]) -> None:
    relays.clear()
    gc.collect()
