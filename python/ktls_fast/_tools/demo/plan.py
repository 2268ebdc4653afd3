"""The distribution of the data among the clients."""

import shutil
from itertools import chain, islice, repeat

from ktls_fast._tools.failure import CommandError

from .job import ClientKind

__all__ = ["client_kinds", "rekey_every", "split_size"]

MIN_SHARE = 2**20
UPDATES_PER_CONNECTION = 32


def client_kinds(connections: int) -> list[ClientKind]:
    """Return the kinds of the clients.

    The first client sends KeyUpdates itself: openssl if installed, otherwise ktls_fast. The third
    is curl if installed.
    """
    rekeying: ClientKind = "openssl" if shutil.which("openssl") else "ktls_fast"
    third: ClientKind = "curl" if shutil.which("curl") else "ssl"
    kinds: chain[ClientKind] = chain((rekeying, "ssl", third), repeat("ssl"))
    return list(islice(kinds, connections))


def split_size(size: int, connections: int) -> list[int]:
    """Divide ``size`` into nearly equal parts.

    :raises CommandError: a part is less than 1 MiB, which is too little for key updates.
    """
    share, rest = divmod(size, connections)
    if share < MIN_SHARE:
        msg = (
            f"--size {size} is too little for --connections {connections};"
            f" use at least {connections}MiB"
        )
        raise CommandError(msg)
    return [share + (number < rest) for number in range(connections)]


def rekey_every(share: int) -> int:
    """Return the number of bytes between two KeyUpdates, for about 32 in each connection."""
    return share // UPDATES_PER_CONNECTION
