"""TLS configurations from a proxy's options, and messages for invalid ones."""

import socket
from pathlib import Path
from typing import NamedTuple

from ktls_fast import (
    ClientConfig,
    ConfigError,
    Connection,
    KtlsError,
    RekeyPolicy,
    ServerConfig,
    StormPolicy,
)
from ktls_fast._tools import certs
from ktls_fast._tools.failure import CommandError, missing_package, reason
from ktls_fast._tools.files import check_key_log

from .options import ProxyOptions

__all__ = ["TlsIdentity", "check_server_name", "client_config", "load_identity", "server_config"]


class TlsIdentity(NamedTuple):
    """A certificate chain and its private key, as PEM, and their origin."""

    cert: bytes
    key: bytes
    password: bytes | None
    origin: str

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, as OpenSSL prints it."""
        return certs.fingerprint(self.cert)


def load_identity(options: ProxyOptions) -> TlsIdentity:
    """Read the certificate and the key, or create them if none are configured."""
    if options.cert is None or options.key is None:
        return TlsIdentity(*_self_signed(options), None, "self-signed")
    return TlsIdentity(
        _read(options.cert, "certificate"),
        _read(options.key, "private key"),
        _read_password(options.key_password_file),
        str(options.cert),
    )


def _self_signed(options: ProxyOptions) -> tuple[bytes, bytes]:
    try:
        return certs.self_signed(_certificate_names(options))
    except ImportError as error:
        raise missing_package(error, "a proxy without --cert and --key", "proxy") from error
    except ValueError as error:
        msg = (
            f"cannot make a certificate for {options.listen.host!r} of --listen: {error};"
            " use --cert and --key, or another name"
        )
        raise CommandError(msg) from error


def server_config(options: ProxyOptions, identity: TlsIdentity) -> ServerConfig:
    """Return the configuration of a proxy that accepts TLS connections."""
    try:
        return ServerConfig(
            identity.cert,
            identity.key,
            password=identity.password,
            alpn=options.alpn,
            keylog=_keylog(options),
            rekey=_rekey_policy(options),
            storm=_storm_policy(options),
        )
    except KtlsError as error:
        msg = (
            f"cannot use certificate {options.cert} with key {options.key}: {reason(error)};"
            f" {_advice(options, reason(error))}"
        )
        raise CommandError(msg) from error


def _rekey_policy(options: ProxyOptions) -> RekeyPolicy:
    return RekeyPolicy(
        bytes=options.rekey_every,
        seconds=options.rekey_seconds,
        peer=options.rekey_peer,
        interval=options.rekey_interval,
    )


def _storm_policy(options: ProxyOptions) -> StormPolicy:
    limit, window = options.key_update_limit
    return StormPolicy(limit=limit, window=window)


def _advice(options: ProxyOptions, why: str) -> str:
    if "password is needed" in why:
        return "pass a file with the password on its first line to --key-password-file"
    if "password does not open" in why:
        return f"it is the first line of {options.key_password_file}"
    return "use a certificate chain, leaf first, and its private key as PEM"


def client_config(options: ProxyOptions) -> ClientConfig:
    """Return the configuration of a proxy that originates TLS connections."""
    named = options.ca in ("system", "webpki")
    roots = options.ca if named else _read(Path(options.ca), "root certificates")
    try:
        return ClientConfig(
            roots,
            alpn=options.alpn,
            keylog=_keylog(options),
            rekey=_rekey_policy(options),
            storm=_storm_policy(options),
        )
    except KtlsError as error:
        raise CommandError(_client_config_message(options, reason(error))) from error


def _client_config_message(options: ProxyOptions, why: str) -> str:
    if "ALPN" in why:
        return f"cannot use --alpn: {why}; use fewer protocols"
    return (
        f"cannot use root certificates {options.ca}: {why}; --ca takes a PEM file, system or webpki"
    )


def check_server_name(options: ProxyOptions, config: ClientConfig) -> None:
    """Raise CommandError at start if the server's name is neither a DNS name nor an IP address."""
    name = options.server_name or options.connect.host
    with socket.socket() as unconnected:
        unconnected.setblocking(False)
        try:
            Connection.client(unconnected, config, name)
        except ConfigError as error:
            msg = (
                f"cannot check the certificate of {options.connect}: {reason(error)};"
                " pass the DNS name or IP address of the certificate to --server-name"
            )
            raise CommandError(msg) from error
        except OSError:
            pass  # the handshake fails without a connection, but the name is valid


def _certificate_names(options: ProxyOptions) -> list[str]:
    extra = [options.listen.host] if _is_specific_host(options.listen.host) else []
    return list(dict.fromkeys([*certs.LOOPBACK_NAMES, *extra]))


def _is_specific_host(host: str) -> bool:
    return host not in ("", "0.0.0.0", "::")


def _keylog(options: ProxyOptions) -> str | None:
    """Return the path of the key log, or None; raise CommandError if it cannot be written."""
    if options.keylog is None:
        return None
    check_key_log(options.keylog)
    return str(options.keylog)


def _read_password(path: Path | None) -> bytes | None:
    """Return the first line of a file, as other programs with such an option do."""
    if path is None:
        return None
    lines = _read(path, "password of the key").splitlines()
    if not lines or not lines[0]:
        msg = f"the password of the key in {path} is empty; write it on the first line"
        raise CommandError(msg)
    return lines[0]


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read the {what} {path}: {reason(error)}"
        raise CommandError(msg) from error
