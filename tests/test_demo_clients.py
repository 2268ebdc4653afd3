"""The clients of the demo, against a server that is harder on them than the proxy."""

from __future__ import annotations

import queue
import select
import socket
import threading
from typing import TYPE_CHECKING

import ktls_fast
from ktls_fast._tools.certs import self_signed
from ktls_fast._tools.demo.in_process import run_ssl
from ktls_fast._tools.demo.job import HOST, TransferJob
from ktls_fast._tools.demo.payload import HEAD_END, EchoReceiver, RandomPayload

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIZE = 16 * 2**20  # more than two sockets hold
PATIENCE = 30.0


def _update_then_echo(
    listening: socket.socket, config: ktls_fast.ServerConfig, waits: queue.Queue[None]
) -> None:
    """Change keys while the client cannot get rid of what it writes; then send all of it back."""
    sock, _ = listening.accept()
    with ktls_fast.accept(sock, config) as conn:
        waits.get(timeout=PATIENCE)
        for asks in (True, False):
            conn.key_update(request_peer=asks)
            waits.get(timeout=PATIENCE)
        conn.sendall(b"HTTP/1.1 200 OK" + HEAD_END)
        body = conn.read(65536).partition(HEAD_END)[2]
        left = SIZE - len(body)
        conn.sendall(body)
        while left:
            body = conn.read(65536)
            left -= len(body)
            conn.sendall(body)


def test_ssl_client_survives_key_updates_during_an_unfinished_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = queue.Queue[None]()
    wait = select.select

    def tell_and_wait(
        r: list[socket.socket], w: list[socket.socket], x: list[socket.socket], timeout: float
    ) -> object:
        waits.put(None)  # nothing can be sent or received
        return wait(r, w, x, timeout)

    monkeypatch.setattr(select, "select", tell_and_wait)
    cert, key = self_signed(["demo-0.localhost"])
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(cert)
    with socket.create_server((HOST, 0)) as listening:
        arguments = (listening, ktls_fast.ServerConfig(cert, key), waits)
        server = threading.Thread(target=_update_then_echo, args=arguments, daemon=True)
        server.start()
        port = listening.getsockname()[1]
        job = TransferJob(
            kind="ssl", number=0, port=port, size=SIZE, rekey_every=SIZE, ca_file=str(ca_file)
        )
        payload, echo = RandomPayload(0, SIZE), EchoReceiver(SIZE, lambda _: None)
        run_ssl(job, payload, echo)
        server.join(PATIENCE)
    assert echo.digest == payload.digest
