"""The command ``ktls-fast proxy``."""

import argparse
from typing import TYPE_CHECKING

from ktls_fast._tools.proxy import ProxyOptions, run

from .values import (
    address,
    at_least_one,
    file_path,
    not_empty,
    positive_seconds,
    protocols,
    seconds,
    size,
    update_limit,
)

if TYPE_CHECKING:
    from . import CommandParser

__all__ = ["add_parser"]

DEFAULTS = ProxyOptions(listen=address(":0"), connect=address(":0"))

DESCRIPTION = """\
Terminate TLS: accept TLS connections on one address and forward their data without TLS to another.
With --originate, accept connections without TLS and forward them over TLS. In both modes the proxy
sends a KeyUpdate after every --rekey-every bytes, and answers the KeyUpdates of the peer.
"""

EPILOG = """\
On SIGTERM, SIGINT or SIGHUP the proxy stops accepting, waits --drain seconds for connections to
end, and then closes them with close_notify. On a second SIGTERM or SIGINT it ends at once. On
SIGUSR1 it prints the counters to standard error.
"""


def add_parser(commands: "argparse._SubParsersAction[CommandParser]") -> None:
    """Add the command ``proxy``."""
    parser = commands.add_parser(
        "proxy",
        help="terminate or originate TLS",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    _add_addresses(parser)
    _add_tls(parser)
    _add_limits(parser)
    _add_logging(parser)
    parser.set_defaults(
        command=lambda parsed: run(_options(parsed, parser)), extra="proxy", prints=False
    )


def _add_addresses(parser: "CommandParser") -> None:
    parser.add_argument(
        "--listen",
        type=address,
        required=True,
        metavar="HOST:PORT",
        help="address to accept connections on; port 0 chooses a free port and prints it",
    )
    parser.add_argument(
        "--connect",
        type=address,
        required=True,
        metavar="HOST:PORT",
        help="address to forward connections to",
    )
    parser.add_argument(
        "--originate",
        action="store_true",
        help="accept connections without TLS and forward them over TLS (default: the reverse)",
    )


def _add_tls(parser: "CommandParser") -> None:
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--cert",
        type=file_path,
        metavar="FILE",
        help="certificate chain as PEM, leaf first (default: a self-signed certificate, created at"
        " start)",
    )
    group.add_argument(
        "--key", type=file_path, metavar="FILE", help="private key of the certificate as PEM"
    )
    group.add_argument(
        "--key-password-file",
        type=file_path,
        metavar="FILE",
        help="file whose first line is the password of an encrypted --key",
    )
    group.add_argument(
        "--ca",
        type=not_empty,
        metavar="FILE|system|webpki",
        help="with --originate: root certificates to trust: a PEM file, system, or webpki for those"
        " of Mozilla (default: system)",
    )
    group.add_argument(
        "--server-name",
        type=not_empty,
        metavar="NAME",
        help="with --originate: name or IP address that the server's certificate must prove"
        " (default: the host of --connect)",
    )
    group.add_argument(
        "--alpn",
        type=protocols,
        default=(),
        metavar="A,B",
        help="ALPN protocols in order of preference",
    )
    group.add_argument(
        "--rekey-every",
        type=size,
        metavar="BYTES",
        help="send a KeyUpdate after this many bytes, e.g. 1MiB (default: the limit of the cipher"
        " suite)",
    )
    group.add_argument(
        "--rekey-seconds",
        type=positive_seconds,
        metavar="SECONDS",
        help="send a KeyUpdate this long after the first data under a key, before the next data"
        " (default: never)",
    )
    group.add_argument(
        "--rekey-peer",
        action="store_true",
        help="request the peer to update its key, too, by each KeyUpdate of --rekey-every",
    )
    group.add_argument(
        "--rekey-interval",
        type=seconds,
        default=DEFAULTS.rekey_interval,
        metavar="SECONDS",
        help="minimum time between two KeyUpdates of --rekey-every (default: %(default)g)",
    )
    group.add_argument(
        "--key-update-limit",
        type=update_limit,
        default=DEFAULTS.key_update_limit,
        metavar="COUNT[/SECONDS]",
        help="maximum number of consecutive KeyUpdates from a peer without data between them,"
        " renewed every SECONDS (default: 32/1)",
    )
    group.add_argument(
        "--keylog",
        type=file_path,
        metavar="FILE",
        help="file to append the secrets of every connection to, in the format of SSLKEYLOGFILE;"
        " for debugging only",
    )


def _add_limits(parser: "CommandParser") -> None:
    group = parser.add_argument_group("limits")
    _add_number(group, "--workers", "number of processes sharing the port", DEFAULTS.workers)
    _add_number(
        group,
        "--max-connections",
        "maximum number of open connections of each worker; further connections wait",
        DEFAULTS.max_connections,
    )
    _add_seconds(
        group, "--handshake-timeout", "time limit of a handshake", DEFAULTS.handshake_timeout
    )
    _add_seconds(
        group,
        "--connect-timeout",
        "time limit for connecting to --connect",
        DEFAULTS.connect_timeout,
    )
    _add_seconds(
        group,
        "--idle-timeout",
        "close a connection after this time without data in either direction; 0 means never",
        DEFAULTS.idle_timeout or 0,
    )
    _add_seconds(
        group, "--drain", "time that connections have to end after SIGTERM", DEFAULTS.drain
    )
    group.add_argument(
        "--truncation",
        choices=("reset", "fin"),
        default=DEFAULTS.truncation,
        help="how to end the other side if a TLS peer ends without close_notify, after all its"
        " data; a reset waits until the other side has ended or no data has moved for 5 seconds"
        " (default: %(default)s)",
    )


def _add_logging(parser: "CommandParser") -> None:
    group = parser.add_argument_group("log and counters")
    group.add_argument("--stats", action="store_true", help="print the counters at exit")
    group.add_argument(
        "--log",
        type=file_path,
        metavar="FILE",
        help="file to append a line for each connection to; - is standard output (default: standard"
        " error)",
    )
    group.add_argument(
        "--log-format",
        choices=("text", "json"),
        default=DEFAULTS.log_format,
        help="format of the log and of all messages on standard error (default: %(default)s)",
    )


def _add_number(group: argparse._ArgumentGroup, name: str, what: str, default: int) -> None:
    group.add_argument(
        name,
        type=at_least_one,
        default=default,
        metavar="N",
        help=f"{what} (default: {default})",
    )


def _add_seconds(group: argparse._ArgumentGroup, name: str, what: str, default: float) -> None:
    group.add_argument(
        name,
        type=seconds,
        default=default,
        metavar="SECONDS",
        help=f"{what} (default: {default:g})",
    )


def _options(parsed: argparse.Namespace, parser: "CommandParser") -> ProxyOptions:
    _check_options(parsed, parser)
    return ProxyOptions(
        listen=parsed.listen,
        connect=parsed.connect,
        originate=parsed.originate,
        cert=parsed.cert,
        key=parsed.key,
        key_password_file=parsed.key_password_file,
        ca=parsed.ca or DEFAULTS.ca,
        server_name=parsed.server_name,
        alpn=parsed.alpn,
        rekey_every=parsed.rekey_every,
        rekey_seconds=parsed.rekey_seconds,
        rekey_peer=parsed.rekey_peer,
        rekey_interval=parsed.rekey_interval,
        key_update_limit=parsed.key_update_limit,
        workers=parsed.workers,
        max_connections=parsed.max_connections,
        handshake_timeout=parsed.handshake_timeout,
        connect_timeout=parsed.connect_timeout,
        idle_timeout=parsed.idle_timeout or None,
        drain=parsed.drain,
        truncation=parsed.truncation,
        stats=parsed.stats,
        log=parsed.log,
        log_format=parsed.log_format,
        keylog=parsed.keylog,
    )


def _check_options(parsed: argparse.Namespace, parser: "CommandParser") -> None:
    """Reject invalid values and combinations of options."""
    if parsed.connect.port == 0 or not parsed.connect.host:
        parser.error(f"--connect {parsed.connect} requires a host and a port other than 0")
    for name in ("handshake_timeout", "connect_timeout"):
        if not getattr(parsed, name):
            parser.error(f"--{name.replace('_', '-')} must not be 0; use 0.1 or more")
    wrong = ("cert", "key", "key_password_file") if parsed.originate else ("ca", "server_name")
    for name in wrong:
        if getattr(parsed, name) is not None:
            with_or_not = "cannot be used with" if parsed.originate else "requires"
            parser.error(f"--{name.replace('_', '-')} {with_or_not} --originate")
    if (parsed.cert is None) != (parsed.key is None):
        missing, given = ("key", "cert") if parsed.key is None else ("cert", "key")
        parser.error(f"--{given} {getattr(parsed, given)} requires --{missing}")
    if str(parsed.keylog) == "-":
        parser.error("--keylog - would mix secrets with the output; use a file")
    if parsed.key_password_file is not None and parsed.key is None:
        parser.error(f"--key-password-file {parsed.key_password_file} requires --key")
