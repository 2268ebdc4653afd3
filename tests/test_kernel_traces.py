"""What a Linux 7.3.4 kernel was seen to do, call by call, and what we do in its place."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext

import pytest

from ktls_fast import KtlsSocket, Namespace, aead_in_use
from tests.blocked import once_blocked, wait_until_blocked
from tests.kernel_replay import Player
from tests.kernel_steps import Outcome, Step, expected, scenarios

ADDRESS = "Python hands over no bad addresses"
NO_METHOD = "KtlsSocket has no connect, bind, listen or dup"
FULL = "fills a socket by a loop: test_ktls_socket_send.py does the same"

# A scenario is replayed up to the first call that we cannot make; the reason says which.
CUT_AT = {
    "recvmsg_bad_address": ADDRESS,
    "send_bad_address": ADDRESS,
    "connect": NO_METHOD,
    "bind": NO_METHOD,
    "child_recv": "a fork shares the engine's state with nobody",
    "fill": FULL,
    "recvmsg_3_bufs": "leaves padding behind the data: ours never writes it there",
    "recv_after_poll": "Python polls first there, and so hides EKEYEXPIRED until its timeout",
}
# How the kernel cut a record into the pages of a pipe.
UNSAID = {"pieces"}
# A cipher that the recorded kernel lacked.
WITHOUT = {
    "cipher.12_sm4gcm": "SM4_GCM",
    "cipher.13_sm4gcm": "SM4_GCM",
    "set.fail_nocipher_then_ok": "SM4_GCM",
    "cipher.12_sm4ccm": "SM4_CCM",
    "cipher.13_sm4ccm": "SM4_CCM",
    "cipher.12_aria128": "ARIA_GCM_128",
    "cipher.12_aria256": "ARIA_GCM_256",
}
HANDSHAKE, ALERT, DATA = 22, 21, 23
KEY_UPDATE = bytes.fromhex("1800000100")

# What the peer sends while a receive waits, receive by receive; then nothing: it returns by itself.
SENT_MEANWHILE = {
    "recv.blocking_wakes": [(b"data", DATA), (b"\1\0", ALERT), (b"\1\0", ALERT)],
    "ku.blocked_reader": [(KEY_UPDATE, HANDSHAKE)],
    "ku.blocked_recv": [(KEY_UPDATE, HANDSHAKE)],
}
# A reader that is blocked before this step: size and flags of its recv.
READER = {
    "ku.rekey_under_blocked_reader": (4, 100, 0),
    "recv.data_steal": (2, 20, socket.MSG_WAITALL),
}


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario["name"])
def test_scenario_ends_as_on_the_kernel(scenario: Step, player: Player) -> None:
    name, steps = scenario["name"], scenario["steps"]
    if reason := not_replayed(name):
        pytest.skip(reason)
    meanwhile = iter(SENT_MEANWHILE.get(name, []))
    reader: Reader | None = None
    for number, step in enumerate(steps):
        if step["op"] in CUT_AT:
            assert number > 0
            break
        if name in READER and READER[name][0] == number:
            reader = Reader(player.ends["B"], *READER[name][1:])
        if step["op"] == "blocked_recv" and reader:
            got = {"ret": reader.result()}
        else:
            with wakes(name, step, player, meanwhile):
                got = player.play(step)
        assert same(got, expected(step)), f"step {number} {step}: {got}"


def not_replayed(name: str) -> str | None:
    """Why a scenario says nothing about us."""
    ciphers = aead_in_use()
    if WITHOUT.get(name) in ciphers:
        return f"that kernel had no {WITHOUT[name]}, we have"
    if name == "ku.pending_fork":
        return NO_METHOD
    if name == "ku.epoll_et":
        return "KtlsSocket.poll is level-triggered"
    return None


def wakes(
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
    data, kind = sent
    return once_blocked(lambda: player.ends["A"].sendmsg([data], [(282, 1, bytes([kind]))]))


def same(got: Outcome, want: Outcome) -> bool:
    """Equal results; where the recording has none, none are asked for."""
    return {key: got.get(key) for key in want if key not in UNSAID} == {
        key: want[key] for key in want if key not in UNSAID
    }


class Reader:
    """A thread that sits in recv."""

    def __init__(self, end: KtlsSocket, size: int, flags: int) -> None:
        self._got = b""
        ready = threading.Event()

        def run() -> None:
            self._id = threading.get_native_id()
            ready.set()
            self._got = end.recv(size, flags)

        self._thread = threading.Thread(target=run)
        self._thread.start()
        ready.wait()
        wait_until_blocked(self._id)

    def result(self) -> str | int:
        """What it got: text, or how many bytes of ciphertext."""
        self._thread.join(5)
        return len(self._got) if len(self._got) == 20 else self._got.decode()


@pytest.fixture
def player(request: pytest.FixtureRequest) -> Iterator[Player]:
    """The two ends that the scenario starts with."""
    name = request.node.callspec.params["scenario"]["name"]
    old = signal.signal(signal.SIGUSR1, interrupted)
    with ExitStack() as stack:
        ends, namespace = {}, Namespace()
        for letter, sock in zip("AB", ENDS.get(name, tcp)(), strict=False):
            ends[letter] = stack.enter_context(KtlsSocket(sock, namespace=namespace))
        made = Player(ends, namespace)
        stack.callback(made.close)
        yield made
    signal.signal(signal.SIGUSR1, old)


def interrupted(*_: object) -> None:
    """A handler that ends the call, as Python retries it otherwise (PEP 475)."""
    raise InterruptedError(4, "a signal came")


def tcp(family: int = socket.AF_INET, protocol: int = 0) -> list[socket.socket]:
    """A connection on the loopback interface."""
    with socket.socket(family, socket.SOCK_STREAM, protocol) as listener:
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen(1)
        near = socket.socket(family, socket.SOCK_STREAM, protocol)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [near, far]


def listening() -> list[socket.socket]:
    """A socket that waits for connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    return [listener]


def mptcp() -> list[socket.socket]:
    """A connection that may use several paths."""
    try:
        return tcp(protocol=262)
    except OSError as error:
        pytest.skip(f"no MPTCP here: {error}")


ENDS: dict[str, Callable[[], list[socket.socket]]] = {
    "ulp.listening": listening,
    "ulp.udp": lambda: [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)],
    "ulp.unix": lambda: list(socket.socketpair()),
    "ulp.ipv6": lambda: tcp(socket.AF_INET6),
    "ulp.mptcp": mptcp,
}
