"""``ktls-fast proxy``."""

import argparse
from typing import TYPE_CHECKING

from ktls_fast._tools.proxy import Options, run

from .values import address, at_least_one, file, not_empty, protocols, seconds, size, update_limit

if TYPE_CHECKING:
    from . import Parser

__all__ = ["add_parser"]

DEFAULTS = Options(listen=address(":0"), connect=address(":0"))

DESCRIPTION = """\
Terminate TLS: take TLS connections on one address and pass them on to another in plain. With
--originate the other way round. Both send KeyUpdates as often as --rekey-every asks, and answer
those of the peer.
"""

EPILOG = """\
SIGTERM, SIGINT or SIGHUP: stop accepting, let connections end for --drain seconds, then close them
by close_notify; a second SIGTERM or SIGINT ends at once. SIGUSR1: print the counters to standard
error.
"""


def add_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
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
    _add_telling(parser)
    parser.set_defaults(
        command=lambda parsed: run(_options(parsed, parser)), extra="proxy", prints=False
    )


def _add_addresses(parser: "Parser") -> None:
    parser.add_argument(
        "--listen",
        type=address,
        required=True,
        metavar="HOST:PORT",
        help="where to accept connections; port 0 takes a free one and prints it",
    )
    parser.add_argument(
        "--connect", type=address, required=True, metavar="HOST:PORT", help="where to pass them on"
    )
    parser.add_argument(
        "--originate", action="store_true", help="plain in, TLS out; default: TLS in, plain out"
    )


def _add_tls(parser: "Parser") -> None:
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--cert",
        type=file,
        metavar="FILE",
        help="certificate chain as PEM, leaf first; default: a self-signed one, made at start",
    )
    group.add_argument("--key", type=file, metavar="FILE", help="its private key as PEM")
    group.add_argument(
        "--key-password-file",
        type=file,
        metavar="FILE",
        help="with an encrypted --key: a file whose first line is its password",
    )
    group.add_argument(
        "--ca",
        type=not_empty,
        metavar="FILE|system|webpki",
        help="with --originate: whom to trust; default: system",
    )
    group.add_argument(
        "--server-name",
        type=not_empty,
        metavar="NAME",
        help="with --originate: what the certificate must prove; default: the host of --connect",
    )
    group.add_argument(
        "--alpn",
        type=protocols,
        default=(),
        metavar="A,B",
        help="protocols in order of preference",
    )
    group.add_argument(
        "--rekey-every",
        type=size,
        metavar="BYTES",
        help="send a KeyUpdate after so many bytes, e.g. 1MiB; default: the limit of the suite",
    )
    group.add_argument(
        "--rekey-peer",
        action="store_true",
        help="let those KeyUpdates ask the peer to renew its key, too",
    )
    group.add_argument(
        "--rekey-interval",
        type=seconds,
        default=DEFAULTS.rekey_interval,
        metavar="SECONDS",
        help="least time between KeyUpdates that --rekey-every asks for; default: %(default)g",
    )
    group.add_argument(
        "--key-update-limit",
        type=update_limit,
        default=DEFAULTS.key_update_limit,
        metavar="COUNT[/SECONDS]",
        help="KeyUpdates tolerated from a peer in a row without data between them, as many again"
        " each SECONDS; default: 32/1",
    )
    group.add_argument(
        "--keylog",
        type=file,
        metavar="FILE",
        help="append the secrets of every connection, as SSLKEYLOGFILE; for debugging only",
    )


def _add_limits(parser: "Parser") -> None:
    group = parser.add_argument_group("limits")
    _add_number(group, "--workers", "processes that share the port", DEFAULTS.workers)
    _add_number(
        group,
        "--max-connections",
        "connections open at a time in each worker; more have to wait",
        DEFAULTS.max_connections,
    )
    _add_seconds(group, "--handshake-timeout", "for a handshake", DEFAULTS.handshake_timeout)
    _add_seconds(group, "--connect-timeout", "to reach --connect", DEFAULTS.connect_timeout)
    _add_seconds(
        group,
        "--idle-timeout",
        "without a byte either way until a connection is closed; 0 for never",
        DEFAULTS.idle_timeout or 0,
    )
    _add_seconds(group, "--drain", "for connections to end after SIGTERM", DEFAULTS.drain)
    group.add_argument(
        "--truncation",
        choices=("reset", "fin"),
        default=DEFAULTS.truncation,
        help="what follows behind all data of a TLS peer that ends without close_notify; a"
        " reset waits until the other side has ended or nothing has moved for 5 seconds;"
        " default: %(default)s",
    )


def _add_telling(parser: "Parser") -> None:
    group = parser.add_argument_group("log and counters")
    group.add_argument("--stats", action="store_true", help="print the counters at the end")
    group.add_argument(
        "--log",
        type=file,
        metavar="FILE",
        help="append a line for each connection; - is standard output; default: standard error",
    )
    group.add_argument(
        "--log-format",
        choices=("text", "json"),
        default=DEFAULTS.log_format,
        help="of the log and of everything on standard error; default: %(default)s",
    )


def _add_number(group: argparse._ArgumentGroup, name: str, what: str, default: int) -> None:
    group.add_argument(
        name,
        type=at_least_one,
        default=default,
        metavar="N",
        help=f"{what}; default: {default}",
    )


def _add_seconds(group: argparse._ArgumentGroup, name: str, what: str, default: float) -> None:
    group.add_argument(
        name,
        type=seconds,
        default=default,
        metavar="SECONDS",
        help=f"{what}; default: {default:g}",
    )


def _options(parsed: argparse.Namespace, parser: "Parser") -> Options:
    _check(parsed, parser)
    return Options(
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


def _check(parsed: argparse.Namespace, parser: "Parser") -> None:
    """Refuse options that say nothing together."""
    if parsed.connect.port == 0 or not parsed.connect.host:
        parser.error(f"--connect {parsed.connect} needs a host and a port other than 0")
    for name in ("handshake_timeout", "connect_timeout"):
        if not getattr(parsed, name):
            parser.error(f"--{name.replace('_', '-')} 0 leaves no time; give 0.1 or more")
    wrong = ("cert", "key", "key_password_file") if parsed.originate else ("ca", "server_name")
    for name in wrong:
        if getattr(parsed, name) is not None:
            with_or_not = "cannot be given with" if parsed.originate else "needs"
            parser.error(f"--{name.replace('_', '-')} {with_or_not} --originate")
    if (parsed.cert is None) != (parsed.key is None):
        missing, given = ("key", "cert") if parsed.key is None else ("cert", "key")
        parser.error(f"--{given} {getattr(parsed, given)} needs --{missing} too")
    if str(parsed.keylog) == "-":
        parser.error("--keylog - would mix secrets with the output; give a file")
    if parsed.key_password_file is not None and parsed.key is None:
        parser.error(f"--key-password-file {parsed.key_password_file} needs --key")
