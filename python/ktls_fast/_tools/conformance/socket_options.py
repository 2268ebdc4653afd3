"""The socket options of scenarios, by name."""

import socket
import struct

from .steps import Step

__all__ = ["PLAIN_OPTIONS", "TLS_OPTIONS", "option_number"]

TLS_OPTIONS = {
    "TLS_TX": 1,
    "TLS_RX": 2,
    "TLS_TX_ZEROCOPY_RO": 3,
    "TLS_RX_EXPECT_NO_PAD": 4,
    "TLS_TX_MAX_PAYLOAD_LEN": 5,
}
PLAIN_OPTIONS: dict[str, tuple[int, int, int | bytes]] = {
    "TCP_CORK": (socket.IPPROTO_TCP, 3, 1),
    "uncork": (socket.IPPROTO_TCP, 3, 0),
    "TCP_NODELAY": (socket.IPPROTO_TCP, 1, 1),
    "SO_LINGER": (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1)),
    "SO_RCVTIMEO": (socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 0, 100_000)),
    "SO_RCVLOWAT": (socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10),
}


def option_number(step: Step) -> int:
    """Return the number of a TLS option; a scenario has the numbers of unknown options."""
    name = step["opt"]
    return name if isinstance(name, int) else TLS_OPTIONS[name]
