"""After a fork the first of the two processes that uses a socket or a sealer has it."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from ktls_fast import KtlsSocket, Opener, Sealer
from ktls_fast._tools.conformance.blocked import wait_until_blocked
from tests.forked import ForkedCall, connections, in_child
from tests.ktls_ends import DONTWAIT, KtlsEnds, MakePair, ends_over, generation

EBUSY = str(errno.EBUSY)
KEY = generation(0)


def is_refused(call: Callable[[], object], pid: int) -> None:
    with pytest.raises(OSError, match=f"process {pid} has used it since the fork") as refused:
        call()
    assert refused.value.errno == errno.EBUSY


def test_a_child_may_use_it_first_and_the_parent_is_refused(ends: KtlsEnds) -> None:
    ends.sender.send(b"before")
    child = ForkedCall(lambda: ends.sender.send(b"from the child"))
    assert child.answer() == "14"
    for _ in range(2):
        is_refused(lambda: ends.sender.send(b"from the parent"), child.pid)
    assert ends.receiver.recv(100) == b"beforefrom the child"
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(100, DONTWAIT)


def test_a_parent_that_uses_it_first_keeps_it(ends: KtlsEnds) -> None:
    asked, go = os.pipe()
    child = ForkedCall(lambda: (os.read(asked, 1), ends.sender.send(b"from the child")))
    ends.sender.send(b"from the parent")
    os.write(go, b".")
    answer = child.answer()
    assert answer.startswith(EBUSY)
    assert str(os.getpid()) in answer
    ends.sender.send(b", twice")
    assert ends.receiver.recv(100) == b"from the parent, twice"
    for fd in (asked, go):
        os.close(fd)


def test_two_sockets_may_stay_with_different_processes(ends: KtlsEnds) -> None:
    child = ForkedCall(lambda: ends.receiver.recv(100))
    ends.sender.send(b"to the child")
    assert child.answer() == repr(b"to the child")


@pytest.mark.parametrize("close", [KtlsSocket.close, lambda sock: sock.__exit__(None, None, None)])
def test_a_child_that_only_closes_does_not_take_it(
    ends: KtlsEnds, close: Callable[[KtlsSocket], None]
) -> None:
    ends.sender.send(b"open ", socket.MSG_MORE)
    assert in_child(lambda: close(ends.sender)) == "None"
    ends.sender.send(b"record")
    assert ends.receiver.recv(100) == b"open record"


def test_a_parent_that_only_closes_leaves_it_to_its_child(ends: KtlsEnds) -> None:
    asked, go = os.pipe()
    child = ForkedCall(lambda: (os.read(asked, 1), ends.sender.send(b"from the child")))
    ends.sender.close()
    os.write(go, b".")
    assert child.answer().endswith("14)")
    assert ends.receiver.recv(100) == b"from the child"
    for fd in (asked, go):
        os.close(fd)


def test_a_parent_that_closes_sends_its_unsent_bytes(ends: KtlsEnds) -> None:
    ends.sender.send(b"open record", socket.MSG_MORE)
    asked, go = os.pipe()
    child = ForkedCall(lambda: (os.read(asked, 1), ends.sender.send(b"more")))
    ends.sender.close()
    os.write(go, b".")
    assert child.answer().startswith(EBUSY)
    for fd in (asked, go):
        os.close(fd)


def test_a_call_in_progress_stays_with_the_parent(ends: KtlsEnds) -> None:
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(ends.receiver.recv(100)))
    reader.start()
    assert reader.native_id
    wait_until_blocked(reader.native_id)
    answer = in_child(lambda: ends.receiver.recv(100, DONTWAIT))
    assert answer.startswith(EBUSY)
    assert "another thread was in a call" in answer
    assert in_child(ends.receiver.close) == "None"
    ends.sender.send(b"for the parent")
    reader.join(10)
    assert got == [b"for the parent"]


def test_each_fork_is_decided_anew(ends: KtlsEnds) -> None:
    for letter in (b"a", b"b", b"c"):
        assert in_child(ends.receiver.fileno) == str(ends.receiver.fileno())
        ends.sender.send(letter)
        assert ends.receiver.recv(100) == letter
    child = ForkedCall(lambda: ends.receiver.poll(1, 0))
    assert child.answer() == "0"
    is_refused(lambda: ends.receiver.recv(100), child.pid)


def test_a_child_process_may_fork_too(ends: KtlsEnds) -> None:
    def child() -> str:
        return in_child(lambda: ends.sender.send(b"grandchild")) + in_child(
            lambda: ends.sender.send(b"another")
        )

    answer = in_child(child)
    assert answer.startswith("'10" + EBUSY)
    assert ends.receiver.recv(100) == b"grandchild"
    with pytest.raises(OSError, match="since the fork"):
        ends.sender.send(b"parent")


def test_objects_made_after_a_fork_are_not_affected(tcp_pair: MakePair) -> None:
    assert in_child(lambda: ends_over(tcp_pair).sender.send(b"data")) == "4"
    assert ends_over(tcp_pair).sender.send(b"data") == 4


def test_no_nonce_is_used_in_two_processes() -> None:
    sealer, fresh = Sealer(KEY.struct()), Sealer(KEY.struct())
    child = ForkedCall(lambda: sealer.seal(b"one"))
    assert child.answer() == repr(fresh.seal(b"one"))
    for call in (
        lambda: sealer.seal(b"other"),
        lambda: sealer.seal_into(b"other", bytearray(100)),
        lambda: sealer.seal_batch(b"other"),
        lambda: sealer.rekey(generation(1).struct()),
    ):
        is_refused(call, child.pid)
    assert sealer.rec_seq == 0


def test_an_opener_works_in_both_processes() -> None:
    record = Sealer(KEY.struct()).seal(b"data")
    opener = Opener(KEY.struct())
    assert in_child(lambda: opener.open(record)) == repr((23, b"data"))
    assert opener.open(record) == (23, b"data")


def test_a_connection_belongs_to_the_process_that_uses_it_first(tcp_pair: MakePair) -> None:
    near, far = connections(tcp_pair)
    child = ForkedCall(lambda: near.sendall(b"from the child"))
    assert child.answer() == "None"
    is_refused(lambda: near.sendall(b"x"), child.pid)
    is_refused(lambda: near.recv(1), child.pid)
    near.close()
    with far:
        assert far.recv(100) == b"from the child"


def test_a_child_that_only_closes_sends_no_close_notify(tcp_pair: MakePair) -> None:
    near, far = connections(tcp_pair)
    assert in_child(near.close) == "None"
    near.sendall(b"still here")
    with far:
        assert far.recv(100) == b"still here"
        near.close()
        assert far.recv(100) == b""


HOOKS = """
import os
def make(): made.append(Sealer(INFO))
made = []
os.register_at_fork(before=make, after_in_parent=make, after_in_child=make)
from ktls_fast import Sealer
os.register_at_fork(before=make, after_in_parent=make, after_in_child=make)
INFO = bytes.fromhex("{info}")
first = Sealer(INFO)
pid = os.fork()
os._exit(0 if first.seal(b"x") and made[-1].seal(b"x") else 1) if not pid else os.waitpid(pid, 0)
made[-1].seal(b"x")
"""
THREADS = """
import os, threading, logging
from ktls_fast import Sealer
INFO, going = bytes.fromhex("{info}"), True
def make():
    while going: Sealer(INFO).seal(b"x")
maker = threading.Thread(target=make)
maker.start()
for _ in range(200):
    pid = os.fork()
    os._exit(0) if not pid else os.waitpid(pid, 0)
going = False
maker.join()
"""


@pytest.mark.parametrize("program", [HOOKS, THREADS], ids=["hooks", "threads"])
def test_a_fork_while_other_threads_make_sealers_does_not_hang(program: str) -> None:
    code = program.format(info=KEY.struct().hex())
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, timeout=60, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_closed_socket_belongs_to_no_process(tcp_pair: MakePair) -> None:
    ends = ends_over(tcp_pair)
    ends.sender.close()
    bad = str(errno.EBADF)
    assert in_child(lambda: ends.sender.send(b"x")).startswith(bad)
    for call in (
        lambda: ends.sender.send(b"x"),
        lambda: ends.sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 77),
        lambda: ends.sender.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT),
        lambda: ends.sender.getsockopt(socket.IPPROTO_TCP, 31, 16),
    ):
        with pytest.raises(OSError, match="descriptor") as refused:
            call()
        assert refused.value.errno == errno.EBADF
