"""Forks without Python's hooks: the parent keeps its objects, and the child gets EBUSY."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from ktls_fast import OffloadQueue, Relay, Sealer
from tests.forked import connections, fork, library_fork, system_call_fork, unannounced
from tests.ktls_ends import KtlsEnds, MakePair, ends_over, generation

KEY = generation(0)
EBUSY = str(errno.EBUSY)


FORKS = pytest.mark.parametrize("make_child", [library_fork, system_call_fork])


@pytest.fixture
def ends(tcp_pair: MakePair) -> Iterator[KtlsEnds]:
    ends = ends_over(tcp_pair)
    yield ends
    ends.sender.close()
    ends.receiver.close()


def is_refused(answer: str) -> None:
    assert answer.startswith(EBUSY), answer
    assert "forked without the hooks of os.fork" in answer


@FORKS
def test_a_sealer_stays_with_the_parent(make_child: Callable[[], int]) -> None:
    sealer, fresh = Sealer(KEY.struct()), Sealer(KEY.struct())
    for call in (
        lambda: sealer.seal(b"in the child"),
        lambda: sealer.seal_into(b"in the child", bytearray(100)),
        lambda: sealer.seal_batch(b"in the child"),
        lambda: sealer.rekey(generation(1).struct()),
    ):
        is_refused(unannounced(make_child, call))
    assert sealer.seal(b"in the parent") == fresh.seal(b"in the parent")


@FORKS
def test_a_socket_stays_with_the_parent(make_child: Callable[[], int], ends: KtlsEnds) -> None:
    ends.sender.send(b"before ")
    is_refused(unannounced(make_child, lambda: ends.sender.send(b"x")))
    is_refused(unannounced(make_child, lambda: ends.receiver.recv(1)))
    assert unannounced(make_child, ends.sender.close) == "None"
    ends.sender.send(b"and after")
    assert ends.receiver.recv(100) == b"before and after"


@FORKS
def test_a_connection_stays_with_the_parent(
    make_child: Callable[[], int], tcp_pair: MakePair
) -> None:
    near, far = connections(tcp_pair)
    is_refused(unannounced(make_child, lambda: near.sendall(b"x")))
    is_refused(unannounced(make_child, lambda: near.recv(1)))
    assert unannounced(make_child, near.close) == "None"
    near.sendall(b"from the parent")
    assert far.recv(100) == b"from the parent"
    near.close()
    assert far.recv(100) == b""
    far.close()


@FORKS
def test_threads_stay_with_the_parent(make_child: Callable[[], int], tcp_pair: MakePair) -> None:
    queue, relay = OffloadQueue(workers=1), Relay(threads=1)
    near, far = connections(tcp_pair)
    other, end = socket.socketpair()
    for call in (queue.stats, queue.close, relay.close, lambda: relay.add(near, other)):
        answer = unannounced(make_child, call)
        assert answer.startswith(EBUSY)
        assert f"its threads are in process {os.getpid()}" in answer
    relay.add(near, other)
    far.sendall(b"through the parent")
    assert end.recv(100) == b"through the parent"
    for each in (near, far, end, other):
        each.close()
    relay.close()
    queue.close()


@FORKS
def test_objects_made_by_the_child_are_its_own(
    make_child: Callable[[], int], tcp_pair: MakePair
) -> None:
    def in_the_child() -> str:
        own = Sealer(KEY.struct())
        first = len(own.seal(b"one"))
        inner = unannounced(make_child, lambda: own.seal(b"two"))
        return (
            f"{first} {inner[:2]} {len(own.seal(b'two'))} {ends_over(tcp_pair).sender.send(b'x')}"
        )

    length = len(Sealer(KEY.struct()).seal(b"one"))
    assert unannounced(make_child, in_the_child) == repr(f"{length} {EBUSY} {length} 1")


@FORKS
def test_an_unannounced_fork_may_follow_an_announced_one(make_child: Callable[[], int]) -> None:
    # Then the number that distinguishes two processes exists already, and both have it.
    sealer, fresh = Sealer(KEY.struct()), Sealer(KEY.struct())
    assert unannounced(fork, lambda: None) == "None"
    assert sealer.seal(b"one") == fresh.seal(b"one")
    is_refused(unannounced(make_child, lambda: sealer.seal(b"two")))
    assert sealer.seal(b"two") == fresh.seal(b"two")

    def announced() -> str:
        refused = unannounced(make_child, lambda: sealer.seal(b"three"))
        return f"{refused}|{sealer.seal(b'three').hex()}"

    refused, sealed = unannounced(fork, announced).strip("'").split("|")
    is_refused(refused)
    assert sealed == fresh.seal(b"three").hex()
    with pytest.raises(OSError, match="has used it since the fork"):
        sealer.seal(b"three")


@FORKS
def test_a_grandchild_is_refused_too(make_child: Callable[[], int]) -> None:
    sealer = Sealer(KEY.struct())
    is_refused(
        unannounced(
            make_child, lambda: unannounced(fork, lambda: sealer.seal(b"grandchild"))
        ).strip("'\"")
    )
    assert sealer.rec_seq == 0
    assert sealer.seal(b"in the parent")


NUMBER_ONE = """
import ctypes, os, sys
from ktls_fast import Sealer
sealer = Sealer(bytes.fromhex({info!r}))
child_first = {child_first}
library = ctypes.CDLL(None, use_errno=True)
assert os.getpid() == 1
if library.unshare(0x20000000):
    sys.exit(77)
(asked, go), (answer, say) = os.pipe(), os.pipe()
pid = os.fork()
def sealed():
    try:
        return len(sealer.seal(b"data"))
    except OSError as error:
        return error.errno
if pid == 0:
    assert os.getpid() == 1
    os.read(asked, 1)
    os.write(say, b"%d" % sealed())
    os._exit(0)
mine = None if child_first else sealed()
os.write(go, b".")
its = int(os.read(answer, 100))
print(its, sealed() if mine is None else mine)
"""


@pytest.mark.parametrize("child_first", [False, True], ids=["parent", "child"])
def test_two_processes_with_pid_1_are_distinguished(child_first: bool) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not here")
    alone = [unshare, "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True, timeout=30).returncode:
        pytest.skip("no namespaces may be made here")
    code = NUMBER_ONE.format(info=KEY.struct().hex(), child_first=child_first)
    command = [*alone, sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, text=True)
    if done.returncode == 77:
        pytest.skip("no namespace may be made in a namespace here")
    sealed = len(Sealer(KEY.struct()).seal(b"data"))
    its, mine = (sealed, errno.EBUSY) if child_first else (errno.EBUSY, sealed)
    assert (done.stdout.split(), done.stderr) == ([str(its), str(mine)], "")
