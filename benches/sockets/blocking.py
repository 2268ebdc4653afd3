"""Blocking ends: plain TCP, ``ktls_fast``, and ``ssl`` of the standard library."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import ktls_fast
from benches import identity
from benches.identity import SUITE
from benches.sockets.plan import BUFFER_SIZE, CHECKED, GO, HOST, PATIENCE, CostMeter, TransferCost

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.sockets.plan import TransferPlan


class TransferEnd(Protocol):
    """The methods of a socket that a transfer needs."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, /) -> int: ...


def transfer(
    plan: TransferPlan, make: Callable[[socket.socket, TransferPlan], TransferEnd]
) -> TransferCost:
    """Run one end of a transfer over a connection that ``make`` protects."""
    if plan.role == "send":
        return _send(make(socket.create_connection((HOST, plan.port), PATIENCE), plan), plan)
    with socket.create_server((HOST, 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        sock, _ = listening.accept()
        sock.settimeout(PATIENCE)
        return _receive(make(sock, plan), plan)


def _send(end: TransferEnd, plan: TransferPlan) -> TransferCost:
    end.sendall(CHECKED)
    _await_go(end)
    message, meter = plan.message, CostMeter()
    for _ in range(plan.count):
        end.sendall(message)
    _await_go(end)
    return meter.cost()


def _receive(end: TransferEnd, plan: TransferPlan) -> TransferCost:
    checked = bytearray(len(CHECKED))
    _read(end, memoryview(checked))
    assert checked == CHECKED, f"{plan.way}: wrong bytes"
    meter = CostMeter()
    end.sendall(GO)
    _count(end, plan.size * plan.count)
    cost = meter.cost()
    end.sendall(GO)
    return cost


def _await_go(end: TransferEnd) -> None:
    answer = bytearray(len(GO))
    assert end.recv_into(answer) == len(GO), "end instead of an answer"


def _read(end: TransferEnd, into: memoryview) -> None:
    while into:
        size = end.recv_into(into)
        assert size, f"end with {len(into)} bytes to come"
        into = into[size:]


def _count(end: TransferEnd, total: int) -> None:
    room = bytearray(BUFFER_SIZE)
    while total:
        size = end.recv_into(room)
        assert size, f"end with {total} bytes to come"
        total -= size
    assert total == 0, f"{-total} bytes more than were sent"


def plain(sock: socket.socket, _: TransferPlan) -> TransferEnd:
    """Return the TCP socket unchanged."""
    return sock


def stdlib(sock: socket.socket, plan: TransferPlan) -> TransferEnd:
    """Return an ``ssl.SSLSocket``."""
    folder = Path(plan.folder)
    if plan.role == "send":
        tls = identity.client_context(folder).wrap_socket(sock, server_hostname="localhost")
    else:
        tls = identity.server_context(folder).wrap_socket(sock, server_side=True)
    chosen = tls.cipher()
    assert chosen is not None
    assert chosen[0] == SUITE, f"ssl chose {chosen[0]}, not {SUITE}"
    return tls


def connection(sock: socket.socket, plan: TransferPlan) -> TransferEnd:
    """Return a ``Connection``."""
    cert, key = (Path(plan.folder, name).read_bytes() for name in ("cert.pem", "key.pem"))
    if plan.role == "send":
        client = ktls_fast.ClientConfig(cert, suites=[SUITE])
        return ktls_fast.Connection.client(sock, client, "localhost")
    return ktls_fast.Connection.server(sock, ktls_fast.ServerConfig(cert, key, suites=[SUITE]))


def ktls_socket(sock: socket.socket, plan: TransferPlan) -> TransferEnd:
    """Return a ``KtlsSocket`` with fixed keys, as after a handshake."""
    here, there = (ktls_fast.TrafficSecret(0x1301, bytes([side]) * 32) for side in (1, 2))
    tx, rx = (here, there) if plan.role == "send" else (there, here)
    ktls = ktls_fast.KtlsSocket(sock)
    ktls.setsockopt(socket.IPPROTO_TCP, ktls_fast.TCP_ULP, b"tls")
    ktls.setsockopt(ktls_fast.SOL_TLS, ktls_fast.TLS_TX, tx.crypto_info())
    ktls.setsockopt(ktls_fast.SOL_TLS, ktls_fast.TLS_RX, rx.crypto_info())
    return ktls


WAYS = {
    "plain TCP": partial(transfer, make=plain),
    "ktls_fast Connection": partial(transfer, make=connection),
    "ktls_fast KtlsSocket": partial(transfer, make=ktls_socket),
    "ssl": partial(transfer, make=stdlib),
}
