"""A scenario from its first call to its last, or to the first that cannot be made."""

import os
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress

from ktls_fast import key_update_message
from ktls_fast.constants import SOL_TLS, TLS_SET_RECORD_TYPE

from .blocked import once_blocked
from .ends import sockets_of
from .player import Player
from .reader import Reader
from .sides import End, Side
from .steps import Outcome, Step

__all__ = ["NOT_REPLAYED", "replay"]

ADDRESS = "Python hands over no bad addresses"
FULL = "fills a socket by a loop: test_ktls_socket_send.py does the same"

# A scenario is replayed up to the first call that we cannot make; the reason says which.
CUT_AT = {
    "recvmsg_bad_address": ADDRESS,
    "send_bad_address": ADDRESS,
    "connect_AF_UNSPEC": "Python has no such call",
    "child_recv": "a fork shares the engine's state with nobody",
    "fill": FULL,
    "recvmsg_3_bufs": "leaves padding behind the data: ours never writes it there",
    "recv_after_poll": "Python polls first there, and so hides EKEYEXPIRED until its timeout",
}
NOT_REPLAYED = {
    "ku.epoll_et": "KtlsSocket.poll is level-triggered",
}
HANDSHAKE, ALERT, DATA = 22, 21, 23
KEY_UPDATE = key_update_message()

SEEN_THROUGH_A_DUP = {"ku.pending_fork"}

# What the peer sends while a receive waits, receive by receive; then nothing: it returns by itself.
SENT_MEANWHILE = {
    "recv.blocking_wakes": [(b"data", DATA), (b"\1\0", ALERT), (b"\1\0", ALERT)],
    "backend.waitall_timeout": [(b"def", DATA)],
    "ku.blocked_reader": [(KEY_UPDATE, HANDSHAKE)],
    "ku.blocked_recv": [(KEY_UPDATE, HANDSHAKE)],
}
# A reader that is blocked before this step: size and flags of its recv.
READER = {
    "ku.rekey_under_blocked_reader": (4, 100, 0),
    "recv.data_steal": (2, 20, socket.MSG_WAITALL),
}


def replay(scenario: Step, side: Side) -> Generator[tuple[Step, Outcome], None, None]:
    """Play the scenario's calls on ``side``; each with its results.

    :raises NotHereError: this host has no such sockets.
    """
    name, meanwhile = scenario["name"], iter(SENT_MEANWHILE.get(scenario["name"], []))
    reader: Reader | None = None
    with _interruptible(), _player(name, side) as player:
        for number, step in enumerate(scenario["steps"]):
            if step["op"] in CUT_AT:
                return
            if name in READER and READER[name][0] == number:
                reader = Reader(player.ends["B"], *READER[name][1:])
            if step["op"] == "blocked_recv" and reader:
                yield step, {"ret": reader.result()}
                continue
            with _wakes(name, step, player, meanwhile):
                outcome = player.play(step)
            yield step, outcome


def _wakes(
    name: str, step: Step, player: Player, meanwhile: Iterator[tuple[bytes, int]]
) -> AbstractContextManager[None]:
    """What happens while a receive without MSG_DONTWAIT waits."""
    if step["op"] not in {"recv", "recvmsg"} or "DONTWAIT" in step.get("flags", []):
        return nullcontext()
    if name == "recv.eintr":
        return once_blocked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    sent = next(meanwhile, None)
    if sent is None:
        return nullcontext()
    return once_blocked(lambda: _send(player.ends["A"], *sent))


def _send(end: End, data: bytes, record_type: int) -> None:
    """Send; if that fails, the receive that waits for it tells."""
    with suppress(OSError):
        end.sendmsg([data], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([record_type]))])


@contextmanager
def _player(name: str, side: Side) -> Iterator[Player]:
    """The two ends that the scenario starts with; nobody waits at them afterwards."""
    with ExitStack() as stack:
        ends: dict[str, End] = {}
        for letter, sock in zip("AB", sockets_of(name), strict=False):
            ends[letter] = side.take(sock)
            stack.callback(ends[letter].close)
            stack.callback(_release, ends[letter])
        if name in SEEN_THROUGH_A_DUP:
            ends["C"] = ends["B"].dup()
            stack.callback(ends["C"].close)
        player = Player(ends, side.counters)
        stack.callback(player.close)
        yield player


def _release(end: End) -> None:
    """Let a reader return that waits still: closing a descriptor does not wake it."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGUSR1 end a call, which Python would retry otherwise (PEP 475)."""

    def interrupted(*_: object) -> None:
        raise InterruptedError(4, "a signal came")

    old = signal.signal(signal.SIGUSR1, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, old)
