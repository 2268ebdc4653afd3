"""Which clients do how much."""

import shutil
from itertools import chain, islice, repeat

from ktls_fast._tools.failure import Failure

from .job import ClientKind

__all__ = ["client_kinds", "rekey_every", "shares"]

SMALLEST_SHARE = 2**20
UPDATES_PER_CONNECTION = 32


def client_kinds(connections: int) -> list[ClientKind]:
    """The first client is the one that can send KeyUpdates itself; curl comes third."""
    rekeying: ClientKind = "openssl" if shutil.which("openssl") else "ktls_fast"
    third: ClientKind = "curl" if shutil.which("curl") else "ssl"
    kinds: chain[ClientKind] = chain((rekeying, "ssl", third), repeat("ssl"))
    return list(islice(kinds, connections))


def shares(size: int, connections: int) -> list[int]:
    """Cut ``size`` into nearly equal parts.

    :raises Failure: they would be too small to change a key in.
    """
    share, rest = divmod(size, connections)
    if share < SMALLEST_SHARE:
        msg = (
            f"--size {size} is too little for --connections {connections};"
            f" give at least {connections}MiB"
        )
        raise Failure(msg)
    return [share + (number < rest) for number in range(connections)]


def rekey_every(share: int) -> int:
    """Bytes between two KeyUpdates, so that each connection sees some dozens."""
    return share // UPDATES_PER_CONNECTION
