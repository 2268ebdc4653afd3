"""The parameters of a simulation."""

import errno
from dataclasses import dataclass
from typing import Final

from ktls_fast.errors import KtlsError

__all__ = ["Scenario"]

PARTS: Final = ("more", "loss", "reorder", "duplicate", "fail_add", "lose", "full")
HOUR: Final = 3_600_000_000
# Limits that keep a run's memory bounded and its numbers within 64 bits.
BOUNDS: Final = {
    "seed": (0, 2**64 - 1),
    "rekeys": (0, 100_000),
    "messages": (0, 1_000_000),
    "message_len": (1, 1 << 20),
    "send_gap": (1, HOUR),
    "read_lag": (1, HOUR),
    "delay": (0, HOUR),
    "mss": (1, 65_000),
    "tso": (1, 64),
    "window": (1, 1 << 30),
    "slots": (0, 65_536),
    "depth": (1, 65_536),
    "cipher_type": (51, 52),
    "fail_nth_add": (1, 1_000_000),
    "down_at": (0, HOUR),
    "up_at": (0, HOUR),
    "close_at": (0, HOUR),
}
OPTIONAL: Final = {"fail_nth_add", "down_at", "up_at", "close_at"}
NAMES: Final = {
    "policy": ("cover-letter", "v17", "naive"),
    "resync": ("request", "hint", "async"),
}


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Scenario:
    """A connection between two hosts, each with a device. Times are in microseconds.

    Fractions (``loss``, ``fail_add`` …) are from 0 to 1.

    :raises KtlsError: EINVAL: a value is out of range; the text names it.
    """

    seed: int = 0
    """The seed of the random choices."""
    policy: str = "cover-letter"
    """When the next key is installed in the device: ``"cover-letter"``, ``"v17"`` or ``"naive"``.

    ``"naive"`` is wrong; it shows how the stream breaks.
    """
    rekeys: int = 4
    """The number of key updates of each sender."""
    messages: int = 6
    """The number of messages between two key updates."""
    message_len: int = 2000
    """The maximum size of a message, in bytes."""
    both_ways: bool = False
    """Whether the second host sends as well."""
    more: float = 0.1
    """The fraction of messages that leave their record open (``MSG_MORE``)."""
    send_gap: int = 40
    """The maximum time between two sends."""
    read_lag: int = 60
    """The maximum time from arrival to reading, and from a KeyUpdate to ``TLS_RX``."""
    loss: float = 0.0
    """The fraction of packets lost, including acknowledgements."""
    reorder: float = 0.0
    """The fraction of packets overtaken by others."""
    duplicate: float = 0.0
    """The fraction of packets that arrive twice."""
    delay: int = 100
    """The delay of the link in one direction."""
    mss: int = 1448
    """The maximum size of a packet's data, in bytes."""
    tso: int = 4
    """The maximum number of packets that TCP passes to the device in one segment."""
    window: int = 64 << 10
    """The maximum number of bytes in flight."""
    slots: int = 4
    """The number of key slots of a device; a connection uses one for each direction."""
    depth: int = 64
    """The number of entries of each ring of a device."""
    resync: str = "request"
    """How a receiving device resynchronizes: ``"request"``, ``"hint"`` or ``"async"``."""
    cipher_type: int = 51
    """51 for AES-GCM-128, 52 for AES-GCM-256."""
    fail_add: float = 0.0
    """The fraction of ``dev_add`` calls that fail."""
    fail_nth_add: int | None = None
    """The number of a further ``dev_add`` call, counted from 1, that fails."""
    lose: float = 0.0
    """The fraction of descriptors whose completion is lost."""
    full: float = 0.0
    """The fraction of descriptors that find the ring full."""
    down_at: int | None = None
    """The time at which the interface of the first host goes down, or None."""
    up_at: int | None = None
    """The time at which that interface comes up again, or None."""
    close_at: int | None = None
    """The time at which the first host closes the connection, or None."""

    def __post_init__(self) -> None:
        """Raise an error if a value is out of range."""
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            if type(value) is not int or not least <= value <= most:
                _refuse(f"{name} {value!r} is not a whole number from {least} to {most}")
        for name in PARTS:
            value = getattr(self, name)
            if type(value) not in {int, float} or not 0 <= value <= 1:
                _refuse(f"{name} {value!r} is not a number from 0 to 1")
        for name, allowed in NAMES.items():
            if getattr(self, name) not in allowed:
                _refuse(f"{name} {getattr(self, name)!r} is not one of {', '.join(allowed)}")
        if type(self.both_ways) is not bool:
            _refuse(f"both_ways {self.both_ways!r} is neither True nor False")
        if self.window < self.mss:
            _refuse(f"window {self.window} is less than mss {self.mss}")


def _refuse(sentence: str) -> None:
    raise KtlsError(errno.EINVAL, sentence)
