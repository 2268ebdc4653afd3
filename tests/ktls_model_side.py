"""The model as a side that scenarios are played on, like the engine and the kernel."""

import errno
import select
import socket
from collections import Counter
from collections.abc import Iterable
from typing import cast

from ktls_fast import tls_stat
from ktls_fast._tools.conformance.random_program import key_struct
from ktls_fast._tools.conformance.sides import ComparedSide, TlsEnd
from tests.ktls_ends import SOL_TLS, TLS_RX, TLS_TX
from tests.ktls_model import SocketModel
from tests.ktls_model_records import Control, ModelKey, refused
from tests.reference import TLS13

RDHUP = 0x2000
MAX_PAYLOAD = 5
KEYS = {key_struct(number, TLS13)[4:32]: number for number in range(4)}
"""The number of each key, by its iv and key."""


class ModelEnd:
    """One end of a connection; everything it sends arrives at once."""

    def __init__(self) -> None:
        """Create an end without keys and without a peer."""
        self.peer = self
        self.model = SocketModel(TLS13, ModelKey(0, 0), ModelKey(0, 0))
        self.keyed: set[int] = set()

    def setsockopt(self, level: int, optname: int, value: bytes, _length: int = 0) -> None:
        """Install a key or set the maximum payload; ignore options of TCP."""
        if level != SOL_TLS:
            return
        if optname == MAX_PAYLOAD:
            self.model.set_limit(int.from_bytes(value, "little"))
        elif optname not in self.keyed:
            self._first_key(optname, value)
        else:
            self._next_key(optname, value)

    def getsockopt(self, level: int, optname: int, _length: int = 0) -> int | bytes:
        """Return a key, or the pending error."""
        if level != SOL_TLS:
            return self.model.take_error()
        key = self.model.tx if optname == TLS_TX else self.model.rx
        return key.struct(self.model.version)

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send without control messages."""
        return self.sendmsg([data], [], flags)

    def sendmsg(self, buffers: Iterable[bytes], control: Iterable[Control], flags: int = 0) -> int:
        """Send; a call that fails may also send a record."""
        data = b"".join(buffers)
        try:
            self.model.send(data, control, flags)
        finally:
            self.peer.model.arrived.extend(self.model.leaving)
        return len(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive without space for control messages."""
        return self.model.recv(size, 0, flags)[0]

    def recvmsg(
        self, size: int, room: int, flags: int = 0
    ) -> tuple[bytes, list[Control], int, None]:
        """Receive with space for control messages."""
        return (*self.model.recv(size, room, flags), None)

    def recvmsg_into(
        self, buffers: list[bytearray], room: int, flags: int = 0
    ) -> tuple[int, list[Control], int, None]:
        """Receive into several buffers."""
        data, control, seen = self.model.recv(sum(map(len, buffers)), room, flags)
        rest = data
        for buffer in buffers:
            part, rest = rest[: len(buffer)], rest[len(buffer) :]
            buffer[: len(part)] = part
        return len(data), control, seen, None

    def poll(self, _events: int, _timeout: float) -> int:
        """Return the events of a poll; TCP is always writable, and readable after FIN."""
        mask = select.POLLOUT | select.POLLIN * (self.model.readable or self.model.ended)
        mask |= select.POLLERR * bool(self.model.error) | RDHUP * self.model.ended
        return mask | select.POLLHUP * (self.model.ended and self.model.shut)

    def shutdown(self, how: int) -> None:
        """Shut down sending, unless ``how`` is SHUT_RD."""
        if how != socket.SHUT_RD:
            self.model.shut = self.peer.model.ended = True

    def fileno(self) -> int:
        """Return -1, as there is no descriptor."""
        return -1

    def close(self) -> None:
        """Do nothing, as no resources are held."""

    def _first_key(self, optname: int, value: bytes) -> None:
        self.model.version = int.from_bytes(value[:2], "little")
        self.keyed.add(optname)
        if optname == TLS_TX:
            self.model.tx = key_of(value)
        else:
            self.model.rx = key_of(value)
        name = {TLS_TX: "Tx", TLS_RX: "Rx"}[optname]
        self.model.counted.update((f"TlsCurr{name}Sw", f"Tls{name}Sw"))

    def _next_key(self, optname: int, value: bytes) -> None:
        direction = {TLS_TX: "Tx", TLS_RX: "Rx"}[optname]
        if len(value) != 40 or value[:4] != key_struct(0, self.model.version)[:4]:
            self.model.refuse_rekey(direction, value)
        elif optname == TLS_TX:
            self.model.rekey_tx(key_of(value))
        else:
            self.model.rekey_rx(key_of(value))


def key_of(value: bytes) -> ModelKey:
    """Return the key of a struct."""
    if value[4:32] not in KEYS:
        raise refused(errno.EINVAL)
    return ModelKey(KEYS[value[4:32]], int.from_bytes(value[32:], "big"))


def model() -> ComparedSide:
    """Return a side whose two ends are models that are each other's peers."""
    ends: list[ModelEnd] = []

    def take(sock: socket.socket) -> TlsEnd:
        sock.close()
        end = ModelEnd()
        if ends:
            end.peer, ends[0].peer = ends[0], end
        ends.append(end)
        return cast("TlsEnd", end)

    def counters() -> dict[str, int]:
        counted = sum((end.model.counted for end in ends), Counter())
        return {name: counted[name] for name in tls_stat()}

    return ComparedSide("model", take, counters)
