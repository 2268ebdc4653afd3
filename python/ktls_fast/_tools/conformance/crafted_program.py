"""Random programs in which one end sends crafted records, including invalid ones."""

import struct
from collections.abc import Callable
from random import Random
from typing import Final

from ktls_fast import CryptoInfo, Sealer

from .program import (
    ALERT,
    DATA,
    HANDSHAKE,
    KEY_UPDATE,
    LAST_NUMBER,
    MAX_UNREAD,
    RandomProgram,
    key_struct,
    settle_step,
)
from .steps import Step

__all__ = ["CraftedProgram"]

BAD_HEADER: Final = bytes.fromhex("170303ffff")


class CraftedProgram(RandomProgram):
    """One end sends crafted records, valid and invalid; the other has two keys, one or none."""

    def __init__(self, random: Random) -> None:
        """Use ``random`` for all random choices."""
        super().__init__(random)
        self.directions = random.choice(
            (["TLS_RX"], ["TLS_RX"], ["TLS_TX"], [], ["TLS_RX", "TLS_TX"])
        )
        self.first = random.choice((0, 0, 0, LAST_NUMBER - 1, LAST_NUMBER))
        info = CryptoInfo.from_bytes(key_struct(0, self.version))
        self._sealer = Sealer(info)
        self._rest = b""

    def begin(self) -> list[Step]:
        """Attach the ULP at B and install its keys."""
        made = [self._option("B", "TCP_ULP", "tls")]
        for name in self.directions:
            number, seq = (0, 0) if name == "TLS_RX" else (1, self.first)
            made.append(self.key("B", name, number, seq))
        return made

    def calls(self) -> list[Callable[[], list[Step]]]:
        """Return the functions that make the next call; repeated ones are chosen more often."""
        often = [
            self.send_crafted,
            self.send_crafted,
            self.send,
            self.send_typed,
            self.recv,
            self.recvmsg,
        ]
        rare = [self.send_badly, self.take_error, self.poll_socket, self.poll_socket, self.see_wire]
        return [*often, *often, *rare, self.splice, self.shut_down, self.reset, self.low_water]

    def send_crafted(self) -> list[Step]:
        """Send a record from A, a part of one, or an invalid one."""
        if "A" in self.closed or self.sent["A"] > MAX_UNREAD:
            return []
        data = self._rest or self._record()
        self._rest = b""
        if self.random.random() < 0.2 and len(data) > 1:
            cut = self.random.randrange(1, len(data))
            data, self._rest = data[:cut], data[cut:]
        self.sent["A"] += len(data)
        return [
            {"op": "rawsend", "on": "A", "data_in": data.hex(), "n": len(data)},
            settle_step("A"),
        ]

    def splice(self) -> list[Step]:
        """Splice from B into a pipe; not without a key, as it would wait for TCP."""
        if "TLS_RX" not in self.directions:
            return []
        return [{"op": "splice_to_pipe", "on": "B", "n": self.random.choice((1, 5, 100))}]

    def see_wire(self) -> list[Step]:
        """Read everything that B has sent."""
        return [] if "A" in self.closed else [{"op": "wire", "on": "A"}]

    def low_water(self) -> list[Step]:
        """Set SO_RCVLOWAT at B before data arrives, as TCP checks it when data arrives."""
        if self.sent["A"]:
            return []
        value = struct.pack("=i", self.random.choice((1, 27, 100))).hex()
        return [{"op": "setsockopt", "on": "B", "level": 1, "opt": 18, "val": value}]

    def reset(self) -> list[Step]:
        """Close A by a TCP reset, rarely."""
        if "A" in self.closed or self.random.random() < 0.7:
            return []
        self.closed.add("A")
        return [{"op": "close_with_rst", "on": "A"}, settle_step("A")]

    def _record(self) -> bytes:
        roll = self.random.random()
        if roll < 0.05:
            return BAD_HEADER
        record_type = self.random.choice((DATA, DATA, DATA, ALERT, HANDSHAKE))
        data = (
            KEY_UPDATE if roll < 0.1 else self.random.randbytes(self.random.choice((0, 1, 5, 40)))
        )
        record = bytes(self._sealer.seal(data, record_type))
        return record[:-1] + bytes([record[-1] ^ 1]) if roll > 0.92 else record

    def _end(self) -> str:
        return "B"
