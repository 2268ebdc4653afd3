"""What a read and a write of a ``TLSObject`` cost, beside ``ssl.SSLObject`` over memory BIOs.

``python -m benches.tls_object`` prints microseconds of CPU per call, the median of several rounds:
a write with taking its wire bytes, and passing on wire bytes with a read.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from ktls_fast import TLSObject, TrafficSecret
from tests.tls_objects import SslEnd, shake, ssl_context

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = 0x1302
ROUNDS = 7
TURN = 4
SIZES = {100: 8000, 16384: 2000, 262144: 200}


def objects() -> tuple[TLSObject, TLSObject]:
    """Return both ends of a connection."""
    one, two = (TrafficSecret(SUITE, bytes([seed]) * 48) for seed in (1, 2))
    return (
        TLSObject.from_secrets(server_side=False, tx=one, rx=two),
        TLSObject.from_secrets(server_side=True, tx=two, rx=one),
    )


def ssl_ends() -> tuple[SslEnd, SslEnd]:
    """Return both ends of a connection of the standard library, with the same suite."""
    client = SslEnd(ssl_context(server_side=False), server_side=False)
    server = SslEnd(ssl_context(server_side=True), server_side=True)
    shake(client, server)
    return client, server


class CostClock:
    """Adds up the CPU time of two kinds of calls."""

    def __init__(self) -> None:
        """Start at zero."""
        self.writing = self.reading = 0

    def run(
        self, write: Callable[[], bytes], read: Callable[[bytes], object], count: int
    ) -> tuple[float, float]:
        """Write and read in turns, so that no more memory is in use than in a program.

        Return the microseconds of one write and of one read.
        """
        for _ in range(count // TURN):
            start = time.process_time_ns()
            wires = [write() for _ in range(TURN)]
            middle = time.process_time_ns()
            for wire in wires:
                read(wire)
            self.reading += time.process_time_ns() - middle
            self.writing += middle - start
        return self.writing / count / 1000, self.reading / count / 1000


def ours(size: int, count: int) -> list[float]:
    """Return the cost of a write, of a read and of a read into a buffer, of this package."""
    a, b = objects()
    data, buffer = bytes(size), bytearray(size + 1)

    def write() -> bytes:
        a.write(data)
        return a.data_to_send()

    def read(wire: bytes) -> None:
        b.receive(wire)
        assert len(b.read(size)) == size

    def read_into(wire: bytes) -> None:
        b.receive(wire)
        assert b.recv_into(buffer) == size

    writing, reading = CostClock().run(write, read, count)
    return [writing, reading, CostClock().run(write, read_into, count)[1]]


def theirs(size: int, count: int) -> list[float]:
    """Return the same costs of the standard library."""
    client, server = ssl_ends()
    a, b, incoming, outgoing = client.tls, server.tls, server.incoming, client.outgoing
    data, buffer = bytes(size), bytearray(size)

    def write() -> bytes:
        a.write(data)
        return outgoing.read()

    def read(wire: bytes) -> None:
        incoming.write(wire)
        got = 0
        while got < size:
            got += len(b.read(size))

    def read_into(wire: bytes) -> None:
        incoming.write(wire)
        got = 0
        while got < size:
            got += int(b.read(size, buffer))

    writing, reading = CostClock().run(write, read, count)
    return [writing, reading, CostClock().run(write, read_into, count)[1]]


def main() -> None:
    """Measure and print."""
    head = f"{'bytes':>8}  {'':10}  {'write':>8}  {'read':>8}  {'recv_into':>9}   us per call"
    print(head)
    for size, count in SIZES.items():
        for name, measure in (("TLSObject", ours), ("SSLObject", theirs)):
            rounds = [measure(size, count) for _ in range(ROUNDS)]
            write, read, into = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"{size:8}  {name:10}  {write:8.2f}  {read:8.2f}  {into:9.2f}")


if __name__ == "__main__":
    main()
