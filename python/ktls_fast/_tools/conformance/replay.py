"""Replay of a scenario up to its last call, or to the first that cannot be made."""

import os
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress

from ktls_fast import key_update_message
from ktls_fast.constants import SOL_TLS, TLS_SET_RECORD_TYPE

from .blocked import once_blocked
from .ends import sockets_of
from .player import ScenarioPlayer
from .reader import BlockedReader
from .sides import ComparedSide, TlsEnd
from .steps import CallResult, Step

__all__ = ["NOT_REPLAYED", "replay"]

ADDRESS = "Python cannot pass an invalid address"
FULL = "fills a socket in a loop, as test_ktls_socket_send.py does"

# A scenario is replayed up to the first of these calls, which cannot be made for the stated reason.
CUT_AT = {
    "recvmsg_bad_address": ADDRESS,
    "send_bad_address": ADDRESS,
    "connect_AF_UNSPEC": "Python has no such call",
    "child_recv": "a forked process does not share the engine's state",
    "fill": FULL,
    "recvmsg_3_bufs": "leaves padding behind the data, which the engine never writes",
    "recv_after_poll": "Python polls first, which hides EKEYEXPIRED until its timeout",
}
NOT_REPLAYED = {
    "ku.epoll_et": "KtlsSocket.poll is level-triggered",
}
HANDSHAKE, ALERT, DATA = 22, 21, 23
KEY_UPDATE = key_update_message()

SEEN_THROUGH_A_DUP = {"ku.pending_fork"}

# What the peer sends while each receive of a scenario waits; further receives end by themselves.
SENT_MEANWHILE = {
    "recv.blocking_wakes": [(b"data", DATA), (b"\1\0", ALERT), (b"\1\0", ALERT)],
    "backend.waitall_timeout": [(b"def", DATA)],
    "ku.blocked_reader": [(KEY_UPDATE, HANDSHAKE)],
    "ku.blocked_recv": [(KEY_UPDATE, HANDSHAKE)],
}
# The step before which a reader is started and blocks, with the size and flags of its recv.
READER = {
    "ku.rekey_under_blocked_reader": (4, 100, 0),
    "recv.data_steal": (2, 20, socket.MSG_WAITALL),
}


def replay(scenario: Step, side: ComparedSide) -> Generator[tuple[Step, CallResult], None, None]:
    """Play the calls of a scenario on ``side``, and yield each with its results.

    :raises UnsupportedSocketsError: the host does not support the sockets of the scenario.
    """
    name, meanwhile = scenario["name"], iter(SENT_MEANWHILE.get(scenario["name"], []))
    reader: BlockedReader | None = None
    with _interruptible(), _player(name, side) as player:
        for number, step in enumerate(scenario["steps"]):
            if step["op"] in CUT_AT:
                return
            if name in READER and READER[name][0] == number:
                reader = BlockedReader(player.ends["B"], *READER[name][1:])
            if step["op"] == "blocked_recv" and reader:
                yield step, {"ret": reader.result()}
                continue
            with _waker(name, step, player, meanwhile):
                outcome = player.play(step)
            yield step, outcome


def _waker(
    name: str, step: Step, player: ScenarioPlayer, meanwhile: Iterator[tuple[bytes, int]]
) -> AbstractContextManager[None]:
    """Return a context in which the peer wakes up a receive without MSG_DONTWAIT."""
    if step["op"] not in {"recv", "recvmsg"} or "DONTWAIT" in step.get("flags", []):
        return nullcontext()
    if name == "recv.eintr":
        return once_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    sent = next(meanwhile, None)
    if sent is None:
        return nullcontext()
    return once_blocked(lambda: _send(player.ends["A"], *sent))


def _send(end: TlsEnd, data: bytes, record_type: int) -> None:
    """Send a record; if that fails, the result of the waiting receive shows it."""
    with suppress(OSError):
        end.sendmsg([data], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([record_type]))])


@contextmanager
def _player(name: str, side: ComparedSide) -> Iterator[ScenarioPlayer]:
    """Yield a player with the two ends that the scenario starts with, and close them."""
    with ExitStack() as stack:
        ends: dict[str, TlsEnd] = {}
        for letter, sock in zip("AB", sockets_of(name), strict=False):
            ends[letter] = side.take(sock)
            stack.callback(ends[letter].close)
            stack.callback(_wake_reader, ends[letter])
        if name in SEEN_THROUGH_A_DUP:
            ends["C"] = ends["B"].dup()
            stack.callback(ends["C"].close)
        player = ScenarioPlayer(ends, side.counters)
        stack.callback(player.close)
        yield player


def _wake_reader(end: TlsEnd) -> None:
    """Shut down ``end``, so that a waiting reader returns; closing would not wake it up."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Make SIGUSR1 interrupt a call, which Python would otherwise retry (PEP 475)."""

    def interrupted(*_: object) -> None:
        raise InterruptedError(4, "a signal was received")

    old = signal.signal(signal.SIGUSR1, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, old)
