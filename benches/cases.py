"""The cases, in groups of which the members compete, and who does the work of each."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from benches import ours, peers, ssl_peer
from benches.work import Case
from tests.reference import AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305, MAX_PLAINTEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.work import Work
    from tests.reference import Cipher

CIPHERS = (AES_GCM_128, AES_GCM_256, CHACHA20_POLY1305)  # those that every member has
SIZES = (64, 1400, 16384)
BATCHES = (1, 8, 64)
OURS = "ktls_fast"
CEILING = "memcpy"
WORKERS: dict[str, dict[str, Callable[[Case], Work]]] = {
    "seal": {
        OURS: ours.Sealing,
        "cryptography": peers.AeadSealing,
        "python-record": peers.RecordSealing,
        "ssl": ssl_peer.Sealing,
        CEILING: peers.Copying,
    },
    "open": {
        OURS: ours.Opening,
        "cryptography": peers.AeadOpening,
        "python-record": peers.RecordOpening,
        "ssl": ssl_peer.Opening,
        CEILING: peers.Copying,
    },
}


def groups() -> Iterator[list[Case]]:
    """All cases; those of a list have operation, cipher and size in common."""
    for op, cipher, size in product(WORKERS, CIPHERS, SIZES):
        yield list(_group(op, cipher, size))


def work(case: Case) -> Work:
    """Set up the implementation that the case names."""
    return WORKERS[case.op][case.impl](case)


def _group(op: str, cipher: Cipher, size: int) -> Iterator[Case]:
    for impl in WORKERS[op]:
        for batch in _batches(op, size, impl):
            yield Case(op, cipher, size, batch, impl)


def _batches(op: str, size: int, impl: str) -> tuple[int, ...]:
    """The batches an implementation knows: ``ssl`` cuts one long ``write`` into full records."""
    if impl == OURS or (impl == "ssl" and op == "seal" and size == MAX_PLAINTEXT):
        return BATCHES
    return (1,)
