"""The proxy of the demo: ``ktls-fast proxy``, in a process whose counters are its own."""

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
from ktls_fast._tools.failure import Failure
from ktls_fast._tools.parent import end_with_parent

from .job import HOST
from .nameless_file import NamelessFile

__all__ = ["ProxyProcess", "ProxyStory"]

STOP_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class ProxyStory:
    """What a proxy told until its end."""

    connections: dict[str, dict[str, Any]]
    """The log's line of each connection, by server name."""
    tls_stat: dict[str, int]


class ProxyProcess:
    """A running proxy with a certificate of its own; leave the block to be sure that it is gone."""

    def __init__(self, names: list[str], *, upstream: int, rekey_every: int) -> None:
        """Start it, and wait until it listens; it ends when this process does."""
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

    def stop(self) -> ProxyStory:
        """Have it end as it should, and read what it told."""
        self._process.terminate()
        _, told = self._process.communicate(timeout=STOP_TIMEOUT)
        if self._process.returncode or not all(line[0] == "{" for line in told.splitlines()):
            msg = f"the proxy ended with status {self._process.returncode}, and said:\n{told}"
            raise Failure(msg)
        stats = next(event for event in _events(told) if event["event"] == "stats")
        lines = _events(self._log.read_text())
        return ProxyStory({line["server_name"]: line for line in lines}, stats["tls_stat"])

    def _read_port(self) -> int:
        assert self._process.stderr is not None, "asked for by PIPE"
        line = self._process.stderr.readline()
        if not line.startswith("{"):
            self._process.kill()
            msg = f"the proxy did not start: {line.strip() or 'it said nothing'}"
            raise Failure(msg)
        return int(json.loads(line)["listen"][0].rpartition(":")[2])

    def __enter__(self) -> Self:
        """Nothing: it runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it if it still runs."""
        with self._files, self._process:
            self._process.kill()


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
