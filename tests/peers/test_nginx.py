"""Our client against nginx, with key updates under way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.peers.ours import client_config, connect
from tests.peers.process import ProgramProcess
from tests.peers.support import octal
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ktls_fast import Connection

BODY = octal(3_000_000)
CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        root {folder}/root;
        ssl_certificate {pems}/server.pem;
        ssl_certificate_key {pems}/server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
    }}
}}
"""


@pytest.fixture
def nginx(
    require_tool: Callable[[str], str],
    pems: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[int]:
    """Yield the port of an nginx that serves ``BODY`` as ``/body``."""
    monkeypatch.setenv("PATH", "/usr/sbin", prepend=os.pathsep)
    tool, port = require_tool("nginx"), free_port()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "body").write_bytes(BODY)
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(folder=tmp_path, port=port, pems=pems))
    with ProgramProcess([tool, "-p", str(tmp_path), "-c", str(config), "-e", "stderr"]) as server:
        server.errors.until(b"event method")  # logged once it listens
        yield port


@pytest.mark.parametrize("request_peer", [False, True])
def test_responses_are_complete_across_key_updates(nginx: int, request_peer: bool) -> None:
    with connect(nginx) as conn:
        for count in range(1, 6):
            conn.key_update(request_peer=request_peer)
            assert _get(conn, "/body") == BODY
            assert conn.tx_generation == count
        # nginx answers before its next data, which is the response.
        assert conn.rx_generation == (5 if request_peer else 0)


def test_tls12_response_is_complete(nginx: int) -> None:
    suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    with connect(nginx, client_config(suites=suites)) as conn:
        assert conn.version == "TLSv1.2"
        assert _get(conn, "/body") == BODY


def test_a_ticket_of_nginx_resumes_a_session(nginx: int) -> None:
    config = client_config()
    with connect(nginx, config) as conn:
        assert _get(conn, "/body") == BODY
        assert not conn.resumed
    with connect(nginx, config) as conn:
        assert _get(conn, "/body") == BODY
        assert conn.resumed


def _get(conn: Connection, path: str) -> bytes:
    conn.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += conn.read(1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    body = bytearray()
    while len(body) < len(BODY):
        piece = conn.read(len(BODY) - len(body))
        assert piece, f"the end after {len(body)} of {len(BODY)} bytes"
        body += piece
    return bytes(body)
