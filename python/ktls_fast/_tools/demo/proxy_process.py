"""The proxy of the demo: ``ktls-fast proxy`` in its own process, which has its own counters."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from ktls_fast._tools import certs
from ktls_fast._tools.failure import CommandError
from ktls_fast._tools.parent import end_with_parent

from .job import HOST
from .nameless_file import NamelessFile

__all__ = ["ProxyOutput", "ProxyProcess"]

STOP_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class ProxyOutput:
    """The output of a proxy."""

    connections: dict[str, dict[str, Any]]
    """The log line of each connection, by server name."""
    tls_stat: dict[str, int]


class ProxyProcess:
    """A running proxy with its own certificate. It is a context manager that kills the process."""

    def __init__(self, names: list[str], *, upstream: int, rekey_every: int) -> None:
        """Start the proxy and wait until it listens. It ends when this process ends."""
        cert, key = certs.self_signed(names)
        self._files = ExitStack()
        self._log = self._files.enter_context(NamelessFile("connections.log")).path
        self.ca_file = self._files.enter_context(NamelessFile("cert.pem", cert)).path
        key_file = self._files.enter_context(NamelessFile("key.pem", key)).path
        self._process = subprocess.Popen(
            (
                *(sys.executable, "-m", "ktls_fast", "proxy"),
                *("--listen", f"{HOST}:0", "--connect", f"{HOST}:{upstream}"),
                *("--cert", str(self.ca_file), "--key", str(key_file)),
                *("--rekey-every", str(rekey_every), "--rekey-interval", "0", "--rekey-peer"),
                *("--stats", "--drain", "5"),
                *("--log", str(self._log), "--log-format", "json"),
            ),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGTERM),
        )
        self.port = self._read_port()

    def stop(self) -> ProxyOutput:
        """Stop the proxy by SIGTERM, and return its output."""
        self._process.terminate()
        _, printed = self._process.communicate(timeout=STOP_TIMEOUT)
        if self._process.returncode or not all(line[0] == "{" for line in printed.splitlines()):
            msg = f"the proxy exited with status {self._process.returncode} and printed:\n{printed}"
            raise CommandError(msg)
        stats = next(event for event in _events(printed) if event["event"] == "stats")
        lines = _events(self._log.read_text())
        return ProxyOutput({line["server_name"]: line for line in lines}, stats["tls_stat"])

    def _read_port(self) -> int:
        assert self._process.stderr is not None, "requested by PIPE"
        line = self._process.stderr.readline()
        if not line.startswith("{"):
            self._process.kill()
            msg = f"the proxy did not start: {line.strip() or 'it printed nothing'}"
            raise CommandError(msg)
        return int(json.loads(line)["listen"][0].rpartition(":")[2])

    def __enter__(self) -> Self:
        """Return the process, which is already running."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process if it is still running."""
        with self._files, self._process:
            self._process.kill()


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
