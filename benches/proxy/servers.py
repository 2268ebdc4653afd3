"""The proxies and their upstream: their configuration, start and CPU time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches import identity, programs
from benches.identity import SUITE
from benches.records.work import ROOT

HOST: Final = "127.0.0.1"
PATIENCE: Final = 20.0
TICKS: Final = os.sysconf("SC_CLK_TCK")

# nginx and haproxy are faster with larger buffers than their defaults.
NGINX: Final = """\
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; sendfile on;
    client_body_temp_path {folder}/{name}.body; proxy_temp_path {folder}/{name}.proxy;
    fastcgi_temp_path {folder}/{name}.fastcgi; uwsgi_temp_path {folder}/{name}.uwsgi;
    scgi_temp_path {folder}/{name}.scgi;
    {http}
}}
"""
SERVING: Final = "server {{ listen {host}:{port}; root {folder}/files; }}"
PROXYING: Final = """\
    upstream behind {{ server {host}:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen {host}:{port} ssl; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {suite};
        ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
        location / {{
            proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_max_temp_file_size 0; proxy_busy_buffers_size 128k;
            proxy_buffer_size 64k; proxy_buffers 8 64k;
        }}
    }}
"""
HAPROXY: Final = """\
global
    nbthread 1
    maxconn 1000
    tune.bufsize 65536
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen bench
    bind {host}:{port} ssl crt {folder}/both.pem ssl-min-ver TLSv1.3 ciphersuites {suite}
    server upstream {host}:{upstream}
"""
STUNNEL: Final = """\
foreground = yes
pid =
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
accept = {host}:{port}
connect = {host}:{upstream}
cert = {folder}/both.pem
ciphersuites = {suite}
sslVersion = TLSv1.3
"""


@dataclass(frozen=True, slots=True)
class ServerSetting:
    """The values in a server's configuration."""

    folder: Path
    port: int
    upstream: int = 0

    def fill(self, template: str) -> str:
        """Return a configuration from a template."""
        return template.format(
            host=HOST, folder=self.folder, port=self.port, upstream=self.upstream, suite=SUITE
        )

    def write(self, name: str, text: str) -> Path:
        """Write a configuration into the directory, and return its path."""
        path = self.folder / f"{name}.conf"
        path.write_text(text)
        return path


class ServerProcess:
    """A server in its own process."""

    def __init__(self, command: tuple[str, ...], setting: ServerSetting) -> None:
        self.name, self.port = command[0], setting.port
        self._log = setting.folder / f"{setting.port}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | identity.environment(setting.folder),
            )
        self._await_port()

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and its children, including all threads."""
        return sum(map(_cpu_seconds, self._processes()))

    def close(self) -> None:
        """Terminate the process."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)

    def _processes(self) -> list[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def _await_port(self) -> None:
        """Wait until the server listens, by a bounded number of attempts to connect."""
        for _ in range(int(PATIENCE / 0.02)):
            assert self._process.poll() is None, f"{self.name} ended: {self._log.read_text()}"
            with suppress(OSError), socket.create_connection((HOST, self.port), PATIENCE):
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
        self.close()
        msg = f"{self.name} does not listen on port {self.port}: {self._log.read_text()}"
        raise TimeoutError(msg)


def upstream(setting: ServerSetting) -> ServerProcess:
    """Start nginx, which serves files without TLS."""
    return _nginx("upstream", SERVING, setting)


def nginx(setting: ServerSetting) -> ServerProcess:
    return _nginx("nginx", PROXYING, setting)


def haproxy(setting: ServerSetting) -> ServerProcess:
    config = setting.write("haproxy", setting.fill(HAPROXY))
    return ServerProcess((_path("haproxy"), "-db", "-q", "-f", str(config)), setting)


def stunnel(setting: ServerSetting) -> ServerProcess:
    config = setting.write("stunnel", setting.fill(STUNNEL))
    return ServerProcess((_path("stunnel"), str(config)), setting)


def ours(setting: ServerSetting) -> ServerProcess:
    cert, key = (str(setting.folder / name) for name in ("cert.pem", "key.pem"))
    command = (sys.executable, "-m", "ktls_fast", "proxy", "--workers", "1")
    ends = ("--listen", f"{HOST}:{setting.port}", "--connect", f"{HOST}:{setting.upstream}")
    log = ("--log", "/dev/null")
    return ServerProcess((*command, *ends, *log, "--cert", cert, "--key", key), setting)


def asyncio_ssl(setting: ServerSetting, loop: str = "asyncio") -> ServerProcess:
    ports = (str(setting.port), str(setting.upstream))
    module = (sys.executable, "-m", "benches.proxy.in_python", loop)
    return ServerProcess((*module, str(setting.folder), *ports), setting)


def free_port() -> int:
    """Return an unused port, for servers that cannot choose one."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _nginx(name: str, template: str, setting: ServerSetting) -> ServerProcess:
    text = NGINX.format(folder=setting.folder, name=name, http=setting.fill(template))
    config = setting.write(name, text)
    return ServerProcess((_path("nginx"), "-p", str(setting.folder), "-c", str(config)), setting)


def _path(name: str) -> str:
    path = programs.find(name)
    assert path is not None, programs.why_missing(name)
    return path


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / TICKS
