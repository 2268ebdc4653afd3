"""A wait until what one end of a connection has sent has reached the other end's TCP."""

import os
import select
import socket
import struct
import time
from contextlib import suppress

from .sides import TlsEnd

__all__ = ["settle"]

TIMEOUT = 1.0
RDHUP = 0x2000
TCP_INFO_SIZE = 232
BYTES_RECEIVED, NOT_SENT, BYTES_SENT, SENT_AGAIN = 128, 144, 200, 208
"""Offsets of fields in ``struct tcp_info``."""


def settle(near: TlsEnd, far: TlsEnd) -> None:
    """Flush what TCP delays at ``near``, and wait up to a second until ``far`` has received it.

    If ``near`` is closed, wait until ``far`` sees the end. If ``far`` is closed, do nothing.
    """
    if far.fileno() < 0:
        return
    if near.fileno() < 0:
        _wait_for_end(far)
        return
    with suppress(OSError):
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        sending, receiving = _tcp_info(near), _tcp_info(far)
        sent = _number(sending, BYTES_SENT, 8) - _number(sending, SENT_AGAIN, 8)
        all_sent = _number(sending, NOT_SENT, 4) == 0
        if all_sent and _number(receiving, BYTES_RECEIVED, 8) >= sent:
            return
        os.sched_yield()


def _wait_for_end(end: TlsEnd) -> None:
    poller = select.poll()
    poller.register(end.fileno(), RDHUP)
    poller.poll(TIMEOUT * 1000)


def _tcp_info(end: TlsEnd) -> bytes:
    """Return ``struct tcp_info`` of a connection; fields that are not reported are zero."""
    answer = b""
    with suppress(OSError):
        answer = bytes(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE))
    return answer.ljust(TCP_INFO_SIZE, b"\0")


def _number(info: bytes, offset: int, size: int) -> int:
    (number,) = struct.unpack_from("=I" if size == 4 else "=Q", info, offset)
    return int(number)
