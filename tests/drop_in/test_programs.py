"""Modules of the standard library that take a context."""

import asyncio
import http.client
import http.server
import smtplib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from ktls_fast import ssl
from tests.drop_in.contexts import VERSIONS, Contexts, is_ours

BODY = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with one megabyte, with a KeyUpdate in front of each answer in TLS 1.3."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert is_ours(self.connection)
        if self.connection.version() == "TLSv1.3":
            # The answer to a request would meet a closed socket, and reset the connection.
            self.connection.key_update(request_peer=not self.close_connection)
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(params=VERSIONS)
def server(contexts: Contexts, request: pytest.FixtureRequest) -> Iterator[int]:
    """Return the port of an ``http.server`` with a wrapped listener."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        context = contexts.server(request.param)
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running.server_address[1]
        running.shutdown()
        thread.join()


@pytest.fixture
def client(contexts: Contexts) -> Any:
    context = contexts.client()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_urlopen_reads_from_http_server(client: Any, server: int) -> None:
    with urlopen(f"https://localhost:{server}/", context=client, timeout=60) as response:
        assert response.read() == BODY


def test_http_client_reuses_a_connection(client: Any, server: int) -> None:
    connection = http.client.HTTPSConnection("localhost", server, context=client, timeout=60)
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read() == BODY
    assert is_ours(connection.sock)
    connection.close()


async def smtp(context: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a mail server that offers STARTTLS."""
    writer.write(b"220 ready\r\n")
    while line := await reader.readline():
        command = line.split()[0].upper()
        if command == b"EHLO":
            writer.write(b"250-localhost\r\n250 STARTTLS\r\n")
        elif command == b"STARTTLS":
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(context)
            assert is_ours(writer.get_extra_info("ssl_object"))
        elif command == b"QUIT":
            writer.write(b"221 bye\r\n")
            break
        else:
            writer.write(b"250 OK\r\n")
    writer.close()


def test_smtplib_upgrades_with_starttls(contexts: Contexts, client: Any) -> None:
    def send(port: int) -> int:
        with smtplib.SMTP("localhost", port, timeout=60) as mail:
            mail.starttls(context=client)
            assert is_ours(mail.sock)
            return mail.noop()[0]

    async def main() -> int:
        context = contexts.server()
        server = await asyncio.start_server(
            lambda reader, writer: smtp(context, reader, writer), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        code = await asyncio.to_thread(send, port)
        server.close()
        return code

    assert asyncio.run(main()) == 250
