"""A program whose records are made by hand, the wrong ones too."""

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
    SENT_AT_MOST,
    Program,
    key_struct,
    settled,
)
from .steps import Step

__all__ = ["CraftedProgram"]

BAD_HEADER: Final = bytes.fromhex("170303ffff")


class CraftedProgram(Program):
    """One end sends records by hand, good and bad ones; the other has two keys, one or none."""

    def __init__(self, random: Random) -> None:
        """Draw all that is chosen from ``random``."""
        super().__init__(random)
        self.directions = random.choice(
            (["TLS_RX"], ["TLS_RX"], ["TLS_TX"], [], ["TLS_RX", "TLS_TX"])
        )
        self.first = random.choice((0, 0, 0, LAST_NUMBER - 1, LAST_NUMBER))
        info = CryptoInfo.from_bytes(key_struct(0, self.version))
        self._sealer = Sealer(info)
        self._rest = b""

    def begin(self) -> list[Step]:
        """The ULP and keys for B alone."""
        made = [self._option("B", "TCP_ULP", "tls")]
        for name in self.directions:
            number, seq = (0, 0) if name == "TLS_RX" else (1, self.first)
            made.append(self.key("B", name, number, seq))
        return made

    def calls(self) -> list[Callable[[], list[Step]]]:
        """What is made at B, and what A sends and sees."""
        often = [self.craft, self.craft, self.send, self.send_typed, self.recv, self.recvmsg]
        rare = [self.send_badly, self.take_error, self.look, self.look, self.see_wire]
        return [*often, *often, *rare, self.splice, self.shut_down, self.reset, self.low_water]

    def craft(self) -> list[Step]:
        """A record of A's, its first or second half, or one that is bad."""
        if "A" in self.closed or self.sent["A"] > SENT_AT_MOST:
            return []
        data = self._rest or self._record()
        self._rest = b""
        if self.random.random() < 0.2 and len(data) > 1:
            cut = self.random.randrange(1, len(data))
            data, self._rest = data[:cut], data[cut:]
        self.sent["A"] += len(data)
        return [{"op": "rawsend", "on": "A", "data_in": data.hex(), "n": len(data)}, settled("A")]

    def splice(self) -> list[Step]:
        """Into a pipe; without a key that would wait for TCP."""
        if "TLS_RX" not in self.directions:
            return []
        return [{"op": "splice_to_pipe", "on": "B", "n": self.random.choice((1, 5, 100))}]

    def see_wire(self) -> list[Step]:
        """All that B has sent."""
        return [] if "A" in self.closed else [{"op": "wire", "on": "A"}]

    def low_water(self) -> list[Step]:
        """SO_RCVLOWAT, before anything has come: TCP looks at it as bytes come."""
        if self.sent["A"]:
            return []
        value = struct.pack("=i", self.random.choice((1, 27, 100))).hex()
        return [{"op": "setsockopt", "on": "B", "level": 1, "opt": 18, "val": value}]

    def reset(self) -> list[Step]:
        """A goes, and B gets a reset."""
        if "A" in self.closed or self.random.random() < 0.7:
            return []
        self.closed.add("A")
        return [{"op": "close_with_rst", "on": "A"}, settled("A")]

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
