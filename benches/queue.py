"""The offload queue against the software path: what a submit costs, and what moves over loopback.

The machine decides much here: its cores serve the sender, the workers and the reader. All cases of
a turn run one after the other, and the table shows medians over the turns.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from dataclasses import dataclass
from statistics import median

from ktls_fast import KtlsSocket, OffloadQueue
from tests.ktls_ends import SOL_TLS, TCP_ULP, TLS_RX, TLS_TX, generation

RECORD = 16384
RECORDS = 64  # in one submit, as in a round of the other benches
BLOCK = 1 << 18  # what the sender hashes and sends at a time
HEADER = ("case", "ns_per_record", "mb_per_s", "vs_software")
WORKERS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Size:
    """How much a run does."""

    turns: int
    submits: int
    blocks: int


FULL = Size(turns=9, submits=100, blocks=512)
QUICK = Size(turns=3, submits=20, blocks=64)


class Ends:
    """A sender over a queue, or without one, and a plain reader that counts."""

    def __init__(self, queue: OffloadQueue | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            self.far, _ = listener.accept()
        self.sender = _attach(near, queue)
        self.sender.setsockopt(SOL_TLS, TLS_TX, generation(0).struct())

    def drop_all(self) -> None:
        """Throw away what comes, without copying it, until the end."""
        room = bytearray(1 << 20)
        while self.far.recv_into(room, len(room), socket.MSG_TRUNC):
            pass


def rows(size: Size) -> list[tuple[str, str, str, str]]:
    """The lines of the table."""
    check()
    submits, speeds = [], dict[int, list[float]]()
    for _ in range(size.turns):
        submits.append(submit(size.submits))
        for workers in WORKERS:
            speeds.setdefault(workers, []).append(throughput(workers, size.blocks))
    lines = [_row("submit/AES_GCM_128/16384/64/queue", median(submits), "-")]
    for workers, found in speeds.items():
        pairs = zip(found, speeds[0], strict=True)
        ratio = median(mine / software for mine, software in pairs)
        name = f"send+hash/AES_GCM_128/{BLOCK}/1/workers={workers}"
        lines.append(_row(name, RECORD / median(found) * 1000, f"{ratio:.2f}x"))
    return lines


def table(size: Size) -> str:
    """Tab-separated, header first."""
    lines = [HEADER, *rows(size)]
    width = max(len(line[0]) for line in lines)
    return "\n".join(
        "\t".join([case.ljust(width), *(cell.rjust(13) for cell in cells)])
        for case, *cells in lines
    )


def check() -> None:
    """The bytes of a queue come out as they went in."""
    data = os.urandom(RECORDS * RECORD)
    with OffloadQueue() as queue, socket.create_server(("127.0.0.1", 0)) as listener:
        near = _attach(socket.create_connection(listener.getsockname()), queue)
        far = _attach(listener.accept()[0], None)
        near.setsockopt(SOL_TLS, TLS_TX, generation(0).struct())
        far.setsockopt(SOL_TLS, TLS_RX, generation(0).struct())
        near.sendall(data)
        assert far.recv(len(data), socket.MSG_WAITALL) == data
        near.close()
        far.close()


def submit(count: int) -> float:
    """Nanoseconds that the caller spends on a record of a batch, in the median of its submits."""
    block, times = os.urandom(RECORDS * RECORD), []
    with OffloadQueue() as queue:
        ends = Ends(queue)
        reader = threading.Thread(target=ends.drop_all)
        reader.start()
        for _ in range(count):
            begin = time.perf_counter_ns()
            taken = ends.sender.send(block)
            times.append(time.perf_counter_ns() - begin)
            assert taken == len(block)
            while (stats := queue.stats()).submitted != stats.completed:
                os.sched_yield()
        ends.sender.close()
        reader.join()
    ends.far.close()
    return median(times) / RECORDS


def throughput(workers: int, blocks: int) -> float:
    """Megabytes a second, of plaintext that the sender also hashes."""
    block = os.urandom(BLOCK)
    with OffloadQueue(workers) as queue:
        ends = Ends(queue)
        reader = threading.Thread(target=ends.drop_all)
        reader.start()
        digest = hashlib.sha256()
        begin = time.perf_counter()
        for _ in range(blocks):
            digest.update(block)
            ends.sender.sendall(block)
        ends.sender.close()
        reader.join()
        spent = time.perf_counter() - begin
    ends.far.close()
    return blocks * BLOCK / spent / 1e6


def _attach(sock: socket.socket, queue: OffloadQueue | None) -> KtlsSocket:
    end = KtlsSocket(sock, device=queue)
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    return end


def _row(case: str, ns: float, ratio: str) -> tuple[str, str, str, str]:
    return (case, f"{ns:.1f}", f"{RECORD / ns * 1000:.0f}", ratio)
