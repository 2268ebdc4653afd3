"""What a run is made of."""

from dataclasses import dataclass

__all__ = ["Scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A connection between two hosts with a device each. Times are in microseconds.

    Parts (``loss``, ``fail_add`` …) are from 0 to 1.
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
