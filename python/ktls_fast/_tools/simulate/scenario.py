"""What a run is made of."""

import errno
from dataclasses import dataclass
from typing import Final

from ktls_fast.errors import KtlsError

__all__ = ["Scenario"]

PARTS: Final = ("more", "loss", "reorder", "duplicate", "fail_add", "lose", "full")
HOUR: Final = 3_600_000_000
# What fits the memory of a run, and numbers of 64 bits.
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
    """A connection between two hosts with a device each. Times are in microseconds.

    Parts (``loss``, ``fail_add`` …) are from 0 to 1.

    :raises KtlsError: EINVAL naming what is out of range.
    """

    seed: int = 0
    """Of every random choice."""
    policy: str = "cover-letter"
    """``"cover-letter"``, ``"v17"``, or ``"naive"``, which is wrong and shows what goes wrong."""
    rekeys: int = 4
    """Key updates of each sender."""
    messages: int = 6
    """Messages between two key updates."""
    message_len: int = 2000
    """Bytes of a message, at most."""
    both_ways: bool = False
    """Whether the second host sends as well."""
    more: float = 0.1
    """Part of the messages that leave their record open (``MSG_MORE``)."""
    send_gap: int = 40
    """Time between two sends, at most."""
    read_lag: int = 60
    """Time between arrival and reading, and between a KeyUpdate and ``TLS_RX``, at most."""
    loss: float = 0.0
    """Part of the packets that vanish, acknowledgements too."""
    reorder: float = 0.0
    """Part of the packets that are overtaken."""
    duplicate: float = 0.0
    """Part of the packets that arrive twice."""
    delay: int = 100
    """One way."""
    mss: int = 1448
    """Most bytes of a packet."""
    tso: int = 4
    """Most packets that TCP hands to the device in one piece."""
    window: int = 64 << 10
    """Most bytes in flight."""
    slots: int = 4
    """Key slots of a device; a connection takes one for each direction."""
    depth: int = 64
    """Places of each ring."""
    resync: str = "request"
    """How a receiving device finds its place again: ``"request"``, ``"hint"``, ``"async"``."""
    cipher_type: int = 51
    """51 for AES-GCM-128, 52 for AES-GCM-256."""
    fail_add: float = 0.0
    """Part of the ``dev_add`` calls that fail."""
    fail_nth_add: int | None = None
    """This ``dev_add``, counted from 1, fails as well."""
    lose: float = 0.0
    """Part of the descriptors whose completion is lost."""
    full: float = 0.0
    """Part of the descriptors that find the ring full."""
    down_at: int | None = None
    """When the interface of the first host goes down."""
    up_at: int | None = None
    """When it comes back."""
    close_at: int | None = None
    """When the first host closes, whatever is under way."""

    def __post_init__(self) -> None:
        """Refuse what no run can be made of."""
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            if type(value) is not int or not least <= value <= most:
                _refuse(f"{name} {value!r} is not a whole number from {least} to {most}")
        for name in PARTS:
            value = getattr(self, name)
            if type(value) not in {int, float} or not 0 <= value <= 1:
                _refuse(f"{name} {value!r} is not from 0 to 1")
        for name, allowed in NAMES.items():
            if getattr(self, name) not in allowed:
                _refuse(f"{name} {getattr(self, name)!r} is not {', '.join(allowed)}")
        if type(self.both_ways) is not bool:
            _refuse(f"both_ways {self.both_ways!r} is neither True nor False")
        if self.window < self.mss:
            _refuse(f"window {self.window} is less than mss {self.mss}")


def _refuse(sentence: str) -> None:
    raise KtlsError(errno.EINVAL, sentence)
