"""A proxy in its own process, upstreams in threads, and helpers for the tests of the proxy."""

import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from ktls_fast._tools import certs
from tests.streams import read_exactly

HOST = "127.0.0.1"
TIMEOUT = 60.0

Event = dict[str, Any]
Serve = Callable[[socket.socket], None]


class ProxyIdentity(NamedTuple):
    """A self-signed certificate for the loopback names, in files."""

    cert: Path
    key: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--cert", str(self.cert), "--key", str(self.key))

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.cert)


def make_identity(directory: Path) -> ProxyIdentity:
    """Write a certificate and its key into ``directory``."""
    identity = ProxyIdentity(directory / "cert.pem", directory / "key.pem")
    for file, pem in zip(identity, certs.self_signed(), strict=True):
        file.write_bytes(pem)
    return identity


class RunningProxy:
    """A process of ``ktls-fast proxy``, whose output is read while it runs.

    It has to end before the end of the block; otherwise it is killed and the block fails.
    """

    def __init__(
        self, connect: int, *arguments: str, prepare: Callable[[], None] | None = None
    ) -> None:
        """Start the proxy; ``prepare`` is called in its process before."""
        self.process = subprocess.Popen(
            (
                *(sys.executable, "-m", "ktls_fast", "proxy", "--listen", f"{HOST}:0"),
                *("--connect", f"{HOST}:{connect}", "--log-format", "json"),
                *arguments,
            ),
            stderr=subprocess.PIPE,
            preexec_fn=prepare,
            text=True,
        )
        self.upstream = connect
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = self._wait_for_port()

    def event(self, kind: str, nth: int = 0) -> Event:
        """Wait for event number ``nth`` of a kind, and return it."""
        return self.events(kind, nth + 1)[nth]

    def events(self, kind: str, count: int) -> list[Event]:
        """Wait until there are ``count`` events of a kind; return all of this kind."""

        def found() -> list[Event] | None:
            events = self.events_of(kind)
            return events if len(events) >= count else None

        with self._changed:
            events = self._changed.wait_for(found, TIMEOUT)
            assert events, f"no {count} events {kind!r} in {self._events}"
            return events

    def events_of(self, kind: str) -> list[Event]:
        """Return all events of a kind so far."""
        return [event for event in list(self._events) if event["event"] == kind]

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def wait(self) -> int:
        """Wait for the proxy to end, and return its exit status."""
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return status

    def stop(self) -> int:
        """Stop the proxy by SIGTERM, and return its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def resident_bytes(self) -> int:
        """Return the resident memory of the process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        """Return the number of open descriptors of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def leave_descriptors(self, count: int) -> None:
        """Limit the process to ``count`` more open files than it has."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
        limit = self.open_files() + count
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (limit, hard))

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def _wait_for_port(self) -> int:
        """Return the port in the first line, which contains the address in JSON and in text."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._events, TIMEOUT), "it prints nothing"
            listening = re.search(rf"listening on {HOST}:(\d+) ", self._events[0]["text"])
        assert listening, self._events
        return int(listening[1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event = json.loads(line) if line.startswith("{") else {"event": "text", "text": line}
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()

    def __enter__(self) -> Self:
        """Return the proxy, which is already running."""
        return self

    def __exit__(self, exc_type: object, *_: object) -> None:
        """End the proxy, and check that it printed no traceback."""
        if self.process.poll() is None:
            self.signal(signal.SIGINT)
            self.signal(signal.SIGTERM)
        try:
            self.process.wait(TIMEOUT)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(TIMEOUT)
            assert self.process.stderr is not None
            self.process.stderr.close()
        tracebacks = [event for event in self.events_of("text") if "Traceback" in event["text"]]
        assert exc_type or not tracebacks, self.events_of("text")


class UpstreamServer:
    """A plain TCP server that serves each connection in a thread by ``serve``."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def stop_listening(self) -> None:
        """Stop accepting connections; open ones continue."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(TIMEOUT)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(TIMEOUT)
            thread = threading.Thread(target=self._run, args=(client,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self, client: socket.socket) -> None:
        with client:
            self._serve(client)

    def __enter__(self) -> Self:
        """Return the server, which is already running."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and wait for the connections to end."""
        if self._listener.fileno() >= 0:
            self.stop_listening()
        for thread in self._threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive(), "an upstream's connection did not end"


def echo(client: socket.socket) -> None:
    """Echo all data up to its end."""
    try:
        while data := client.recv(65536):
            client.sendall(data)
    except ConnectionError:
        pass  # the proxy was stopped at once


@contextmanager
def echo_proxy(
    identity: ProxyIdentity, *arguments: str, prepare: Callable[[], None] | None = None
) -> Iterator[RunningProxy]:
    """Run a proxy that terminates TLS in front of an upstream that echoes."""
    with (
        UpstreamServer(echo) as upstream,
        RunningProxy(upstream.port, *identity.arguments, *arguments, prepare=prepare) as proxy,
    ):
        yield proxy


def connect_tls(
    port: int, identity: ProxyIdentity, *, alpn: Sequence[str] = (), server_name: str = "localhost"
) -> ssl.SSLSocket:
    """Connect by the client of the standard library, which raises an error at a truncation."""
    context = identity.client_context()
    if alpn:
        context.set_alpn_protocols(list(alpn))
    raw = socket.create_connection((HOST, port), TIMEOUT)
    return context.wrap_socket(raw, server_hostname=server_name, suppress_ragged_eofs=False)


def check_echo(proxy: RunningProxy, identity: ProxyIdentity) -> None:
    """Check that a proxy in front of an echo works."""
    with connect_tls(proxy.port, identity) as client:
        client.sendall(b"one")
        assert read_exactly(client, 3) == b"one"
        client.unwrap().close()
