"""``ktls-fast doctor``."""

import contextlib
import errno
import json
import platform
import resource
import socket
from typing import TYPE_CHECKING

import ktls_fast
from ktls_fast import SOL_TLS, TCP_ULP, TLS_TX, Suite, TrafficSecret
from ktls_fast.proxy import reason

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from . import Parser

__all__ = ["add_parser", "examine", "kernel_tls"]

DESCRIPTION = """\
Tell what this machine offers: versions, the CPU's help, which implementation seals each cipher,
and whether the kernel has TLS of its own and can rekey it (found out by trying on a loopback
connection).
"""


def add_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="tell what this machine offers", description=DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    parser.set_defaults(command=_run)


def examine() -> dict[str, object]:
    """Everything there is to know, ready for JSON."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "ktls_fast": ktls_fast.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_features": ktls_fast.cpu_features(),
        "aead": ktls_fast.aead_in_use(),
        "kernel_tls": kernel_tls(),
        "file_limit": None if soft == resource.RLIM_INFINITY else soft,
    }


def kernel_tls() -> dict[str, str]:
    """Whether the kernel has the tls ULP and whether it takes a second key: ``yes``, or why not."""
    with _connected() as sock:
        error = _refusal(sock, socket.IPPROTO_TCP, TCP_ULP, b"tls")
        if error is None:
            return {"ulp": "yes", "rekey": _rekey(sock)}
        if error.errno == errno.ENOENT:
            return {"ulp": "no: the kernel has no module tls, or has not loaded it", "rekey": "no"}
        return {"ulp": f"no: {reason(error)}", "rekey": "no"}


def _rekey(sock: socket.socket) -> str:
    """Install a key, and the next one; the kernel learned the latter in Linux 6.14."""
    secret = TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes(32))
    for info in (secret.crypto_info(), secret.next().crypto_info()):
        error = _refusal(sock, SOL_TLS, TLS_TX, bytes(info))
        if error is not None:
            return f"no: {reason(error)}"
    return "yes"


def _refusal(sock: socket.socket, level: int, option: int, value: bytes) -> OSError | None:
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        return error
    return None


@contextlib.contextmanager
def _connected() -> "Iterator[socket.socket]":
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sock,
    ):
        yield sock


def _run(parsed: "argparse.Namespace") -> int:
    found = examine()
    if parsed.json:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        print(f"{name:<14}{_plain(value)}")
    return 0


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {what}" for name, what in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
