"""A program that searches its own memory for marked bytes, for ``test_leftovers.py``.

``python -m tests.leftovers SCENARIO FD`` prints the numbers of the marks that are left.
"""

import gc
import os
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ktls_fast import (
    Connection,
    CryptoInfo,
    KtlsSocket,
    Opener,
    Relay,
    Sealer,
    Suite,
    TrafficSecret,
)

HEAD = bytes([0x8B, 0xD5, 0x1F, 0xE9, 0x93, 0x07, 0xC6, 0x5A])
MARK = struct.Struct("<8sII")
"""A mark: the head, its number, and its number with all bits inverted."""
MARKS = 2048
"""The number of marks in two full records."""
CIPHERS = [
    (51, 16, 8, 4),
    (52, 32, 8, 4),
    (53, 16, 8, 4),
    (54, 32, 12, 0),
]
"""AES-GCM, AES-CCM and ChaCha20-Poly1305, with the lengths of key, iv and salt."""
SOL_TLS, TLS_TX, TLS_RX, TCP_ULP = 282, 1, 2, 31


def marked(size: int, first: int = 0) -> bytearray:
    """Return memory full of marks, which are written in place, so that no copies exist."""
    memory = bytearray(size)
    for number, at in enumerate(range(0, size - MARK.size + 1, MARK.size), first):
        MARK.pack_into(memory, at, HEAD, number, number ^ 0xFFFFFFFF)
    return memory


def wipe(memory: bytearray) -> None:
    """Overwrite memory that Python owns with zeros."""
    for at in range(len(memory)):
        memory[at] = 0


def find_marks() -> list[int]:
    """Return the numbers of all marks in the memory of this process."""
    gc.collect()
    found: set[int] = set()
    pattern = re.compile(re.escape(HEAD) + b"(........)", re.DOTALL)
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for start, end in _regions():
            for at in range(start, end, 1 << 20):
                # A mark may span two pieces.
                size = min(end - at, (1 << 20) + MARK.size)
                try:
                    piece = os.pread(memory.fileno(), size, at)
                except OSError:
                    break
                for match in pattern.finditer(piece):
                    number, turned = struct.unpack("<II", match[1])
                    if number == turned ^ 0xFFFFFFFF:
                        found.add(number)
    return sorted(found)


def _regions() -> Iterator[tuple[int, int]]:
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        place, mode = line.split()[:2]
        if mode.startswith("rw"):
            start, end = place.split("-")
            yield int(start, 16), int(end, 16)


def drain(receive: Callable[[memoryview], int], size: int) -> None:
    """Receive ``size`` bytes in small pieces, into memory that is wiped."""
    piece, got = bytearray(1000), 0
    while got < size:
        count = receive(memoryview(piece))
        assert count, f"the end after {got} of {size} bytes"
        got += count
        wipe(piece)


def connection(sock: socket.socket) -> Connection:
    """Return the client's end as a Connection."""
    tx, rx = (TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([i]) * 32) for i in (1, 2))
    return Connection.from_secrets(sock, server_side=False, tx=tx, rx=rx)


def ktls(sock: socket.socket) -> KtlsSocket:
    """Return a KtlsSocket with the keys of :func:`connection`."""
    tx, rx = (TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([i]) * 32) for i in (1, 2))
    end = KtlsSocket(sock)
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    end.setsockopt(SOL_TLS, TLS_TX, tx.crypto_info())
    end.setsockopt(SOL_TLS, TLS_RX, rx.crypto_info())
    return end


def read_connection(sock: socket.socket) -> list[int]:
    """Read large records of a Connection in small pieces."""
    conn = connection(sock)
    drain(conn.recv_into, MARKS * MARK.size)
    found = find_marks()
    conn.close()
    return found


def read_socket(sock: socket.socket) -> list[int]:
    """Read large records of a KtlsSocket in small pieces."""
    end = ktls(sock)
    drain(end.recv_into, MARKS * MARK.size)
    found = find_marks()
    end.close()
    return found


def read_some_and_drop(sock: socket.socket) -> list[int]:
    """Read a part of a record, and drop the Connection."""
    conn = connection(sock)
    drain(conn.recv_into, 1000)
    conn.close()
    del conn
    return find_marks()


def write_socket(sock: socket.socket) -> list[int]:
    """Send records that are kept open, the last of which is never sent."""
    end, data = ktls(sock), marked(MARKS * MARK.size)
    view = memoryview(data)
    for at in range(0, len(data) - 1000, 1000):
        end.send(view[at : at + 1000], socket.MSG_MORE)
    view.release()
    wipe(data)
    end.close()
    del end
    return find_marks()


def pass_on(sock: socket.socket) -> list[int]:
    """Relay a Connection to a plain socket."""
    conn, relay = connection(sock), Relay(threads=1)
    plain, far = socket.socketpair()
    with plain, far:
        handle = relay.add(conn, plain)
        drain(lambda piece: far.recv_into(piece), MARKS * MARK.size)
        handle.stop()
        relay.close()
        return find_marks()


def info_of(cipher: tuple[int, int, int, int], key: bytearray) -> CryptoInfo:
    """Return the CryptoInfo of one of :data:`CIPHERS` with ``key``."""
    number, _, iv_len, salt_len = cipher
    return CryptoInfo(0x0304, number, iv=bytes(iv_len), key=key, salt=bytes(salt_len))


def keys(_: socket.socket | None) -> list[int]:
    """Use keys of each cipher, and drop them."""
    for number, cipher in enumerate(CIPHERS):
        key, following = (marked(cipher[1], first + 100 * number) for first in (0, 50))
        sealer, opener = Sealer(info_of(cipher, key)), Opener(info_of(cipher, key))
        opener.open(sealer.seal(b"data"))
        sealer.rekey(info_of(cipher, following))
        sealer.seal(b"data")
        wipe(key)
        wipe(following)
        del sealer, opener
    return find_marks()


def nothing(_: socket.socket | None) -> list[int]:
    """Keep some marks, to check that the search finds them."""
    kept = marked(5 * MARK.size, 7)
    found = find_marks()
    wipe(kept)
    assert find_marks() == []
    return found


SCENARIOS: dict[str, Callable[[socket.socket], list[int]]] = {
    call.__name__: call
    for call in (
        read_connection,
        read_socket,
        read_some_and_drop,
        write_socket,
        pass_on,
        keys,
        nothing,
    )
}


def main() -> None:
    """Run the scenario on the socket with the descriptor FD."""
    scenario = SCENARIOS[sys.argv[1]]
    with socket.socket(fileno=int(sys.argv[2])) as sock:
        print(*scenario(sock))


if __name__ == "__main__":
    main()
