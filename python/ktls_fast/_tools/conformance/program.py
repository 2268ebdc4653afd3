"""Random programs: scenarios of random calls on two sockets that have keys."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from ktls_fast import key_update_message
from ktls_fast.constants import SOL_TLS

from .steps import Step

__all__ = ["RandomProgram", "key_struct", "settle_step"]

TLS12: Final = 0x0303
TLS13: Final = 0x0304
AES_GCM_128: Final = 51
HANDSHAKE, ALERT, DATA = 22, 21, 23
KEY_UPDATE: Final = key_update_message()
LAST_NUMBER: Final = (1 << 64) - 1
ENDS: Final = ("A", "B")
DATA_SIZES: Final = (0, 1, 2, 5, 40, 63, 64, 1000, 16384, 16385, 20_000)
DATA_KINDS: Final = (KEY_UPDATE, b"\x18", b"\0\0", b"a\x16", b"\x18\x16\0")
RECEIVE_SIZES: Final = (0, 1, 2, 5, 6, 100, 16384, 65536)
TYPES: Final = (HANDSHAKE, HANDSHAKE, ALERT, DATA, 20, 99, 255)
MAX_UNREAD: Final = 60_000
"""Maximum number of bytes sent by an end, so that they fit into TCP's buffers unread."""
BAD_CONTROL: Final = (
    [[SOL_TLS, 1, ""]],
    [[SOL_TLS, 2, "16"]],
    [[1, 1, "16"]],
    [[SOL_TLS, 1, "16"], [SOL_TLS, 1, ""]],
    [[SOL_TLS, 1, "15"], [SOL_TLS, 9, "16"]],
)


def key_struct(number: int, version: int, seq: int = 0, cipher: int = AES_GCM_128) -> bytes:
    """Return the kernel's struct for key ``number``, which is derived as in the recordings."""
    blob = hashlib.sha512(b"oracle key %d gcm128" % number).digest()
    head = struct.pack("=HH", version, cipher)
    return head + blob[32:40] + blob[:16] + blob[48:52] + struct.pack(">Q", seq)


class RandomProgram:
    """Both ends have keys for sending and receiving."""

    def __init__(self, random: Random) -> None:
        """Use ``random`` for all random choices."""
        self.random = random
        self.version = random.choice((TLS13, TLS13, TLS13, TLS12))
        self.sent = {"A": 0, "B": 0}
        self.closed: set[str] = set()
        self.keys = {"A": (0, 0), "B": (1, 0)}
        """The key that each end sends with, and its first sequence number."""

    def steps(self, length: int) -> list[Step]:
        """Return about ``length`` steps: the set-up, random calls, and the counters."""
        made = [{**step, "setup": True} for step in self.begin()]
        while len(made) < length:
            made += self.random.choice(self.calls())()
        return [*made, {"op": "tls_stat"}]

    def begin(self) -> list[Step]:
        """Attach the ULP and install the keys."""
        made = [self._option(end, "TCP_ULP", "tls") for end in ENDS]
        for end in ENDS:
            made.append(self.key(end, "TLS_TX", *self.keys[end]))
            made.append(self.key(end, "TLS_RX", *self.keys[peer_of(end)]))
        return made

    def calls(self) -> list[Callable[[], list[Step]]]:
        """Return the functions that make the next call; repeated ones are chosen more often."""
        often = [self.send, self.send_typed, self.recv, self.recvmsg, self.recvmsg]
        return [
            *often,
            *often,
            self.send_key_update,
            self.send_badly,
            self.receive_into_several,
            self.renew_sending,
            self.renew_receiving,
            self.renew_both,
            self.renew_badly,
            self.limit_payload,
            self.take_error,
            self.poll_socket,
            self.poll_socket,
            self.read_key,
            self.shut_down,
        ]

    def send(self) -> list[Step]:
        """Send data with random flags, some of which are refused."""
        end, data = self._end(), self._data()
        flags = self.random.choice(([], [], ["MORE"], ["MORE"], ["EOR"], ["MORE", "EOR"], ["OOB"]))
        return self._sending(end, {"op": "send", "data_in": data, "flags": flags})

    def send_typed(self) -> list[Step]:
        """Send a record of a random type."""
        flags = self.random.choice(([], [], ["EOR"], ["MORE"]))
        control = [[SOL_TLS, 1, f"{self.random.choice(TYPES):02x}"]]
        return self._message(self._end(), self._data(), control, flags)

    def send_key_update(self) -> list[Step]:
        """Send a KeyUpdate without installing a key."""
        return self._message(self._end(), KEY_UPDATE.hex(), [[SOL_TLS, 1, "16"]], [])

    def send_badly(self) -> list[Step]:
        """Send with a control message that is refused."""
        return self._message(self._end(), b"x".hex(), self.random.choice(BAD_CONTROL), [])

    def recv(self) -> list[Step]:
        """Receive without space for control messages."""
        flags = ["DONTWAIT"]
        flags += [name for name in ("PEEK", "WAITALL") if self.random.random() < 0.3]
        size = self.random.choice(RECEIVE_SIZES)
        return [{"op": "recv", "on": self._end(), "n": size, "flags": flags}]

    def recvmsg(self) -> list[Step]:
        """Receive with random space for control messages."""
        flags = ["DONTWAIT"] + ["PEEK"] * (self.random.random() < 0.3)
        size, room = self.random.choice(RECEIVE_SIZES), self.random.choice((0, 15, 16, 17, 64, 64))
        return [{"op": "recvmsg", "on": self._end(), "n": size, "anc": room, "flags": flags}]

    def receive_into_several(self) -> list[Step]:
        """Receive into one to three buffers."""
        sizes = [self.random.choice(RECEIVE_SIZES) for _ in range(self.random.randrange(1, 4))]
        step = {"op": "recvmsg", "on": self._end(), "iov": sizes, "anc": 64}
        return [{**step, "flags": ["DONTWAIT"]}]

    def renew_sending(self) -> list[Step]:
        """Install a key for sending, without notifying the peer."""
        end = self._end()
        return [self._next_key(end)]

    def renew_receiving(self) -> list[Step]:
        """Install a key for receiving: the one that the peer sends with, or a similar one."""
        end = self._end()
        number, seq = self.keys[peer_of(end)]
        if self.random.random() < 0.4:
            number, seq = self.random.randrange(4), self.random.randrange(4)
        return [self.key(end, "TLS_RX", number, seq + self.random.choice((0, 0, 0, 1)))]

    def renew_both(self) -> list[Step]:
        """Perform a complete key update."""
        end = self._end()
        announcement = self._message(end, KEY_UPDATE.hex(), [[SOL_TLS, 1, "16"]], [])
        read = {"op": "recvmsg", "on": peer_of(end), "n": 65536, "anc": 64, "flags": ["DONTWAIT"]}
        sending = self._next_key(end)
        return [*announcement, sending, read, self.key(peer_of(end), "TLS_RX", *self.keys[end])]

    def renew_badly(self) -> list[Step]:
        """Install a key that is refused."""
        good = key_struct(1, self.version)
        values = (
            good[:3],
            good[:-1],
            good + b"\0",
            key_struct(1, TLS12 + TLS13 - self.version),
            key_struct(1, self.version, cipher=52),
        )
        name = self.random.choice(("TLS_TX", "TLS_RX"))
        return [self._option(self._end(), name, self.random.choice(values).hex())]

    def limit_payload(self) -> list[Step]:
        """Set the maximum size of records."""
        limit = self.random.choice((62, 63, 64, 100, 16384, 16385))
        value = struct.pack("=H", limit).hex()
        return [self._option(self._end(), "TLS_TX_MAX_PAYLOAD_LEN", value)]

    def take_error(self) -> list[Step]:
        """Read the pending error of a socket."""
        return [{"op": "SO_ERROR", "on": self._end()}]

    def poll_socket(self) -> list[Step]:
        """Poll a socket."""
        return [{"op": "poll", "on": self._end()}]

    def read_key(self) -> list[Step]:
        """Read a key with its current sequence number."""
        name = self.random.choice(("TLS_TX", "TLS_RX"))
        end = self._end()
        if self.closed and name == "TLS_TX":
            return []  # a send after the peer's close may or may not have used a number
        return [{"op": "getsockopt", "on": end, "level": SOL_TLS, "opt": name, "len": 40}]

    def shut_down(self) -> list[Step]:
        """Shut down the sending of an end, rarely, and never before data was sent."""
        end = self._end()
        if self.random.random() < 0.8 or not sum(self.sent.values()) or end in self.closed:
            return []
        self.closed.add(end)
        return [{"op": "shutdown", "on": end, "how": "WR"}, {"op": "settle", "on": end}]

    def key(self, end: str, name: str, number: int, seq: int) -> Step:
        """Return the step that installs a key."""
        return self._option(end, name, key_struct(number, self.version, seq).hex())

    def _next_key(self, end: str) -> Step:
        key = (self.random.randrange(4), self.random.randrange(4))
        if self.version == TLS13:
            self.keys[end] = key
        return self.key(end, "TLS_TX", *key)

    def _option(self, end: str, name: str, value: str) -> Step:
        level = "IPPROTO_TCP" if name == "TCP_ULP" else SOL_TLS
        return {"op": "setsockopt", "on": end, "level": level, "opt": name, "val": value}

    def _message(
        self, end: str, data: str | Step, control: Sequence[object], flags: list[str]
    ) -> list[Step]:
        step: Step = {"op": "sendmsg", "data_in": data, "iov": [size_of(data)]}
        return self._sending(end, {**step, "cmsg_in": control, "flags": flags})

    def _sending(self, end: str, step: Step) -> list[Step]:
        """Return a send, and the wait until everything sealed has reached the peer's TCP."""
        if end in self.closed or self.sent[end] > MAX_UNREAD:
            return []
        size = size_of(step["data_in"])
        self.sent[end] += size
        return [{**step, "on": end, "n": size}, {"op": "settle", "on": end}]

    def _end(self) -> str:
        return self.random.choice(ENDS)

    def _data(self) -> str | Step:
        if self.random.random() < 0.3:
            return self.random.choice(DATA_KINDS).hex()
        size = self.random.choice(DATA_SIZES)
        return {"pattern": size} if size > 100 else self.random.randbytes(size).hex()


def peer_of(end: str) -> str:
    """Return the name of the peer of ``end``."""
    return "B" if end == "A" else "A"


def settle_step(end: str) -> Step:
    """Return the step that waits until what ``end`` has sent has reached its peer's TCP."""
    return {"op": "settle", "on": end}


def size_of(data: str | Step) -> int:
    """Return the number of bytes of the data of a step."""
    return len(data) // 2 if isinstance(data, str) else int(data["pattern"])
