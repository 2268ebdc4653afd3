"""TLS configurations from a proxy's options, and clear words for what is wrong with them."""

from pathlib import Path
from typing import NamedTuple

from ktls_fast import ClientConfig, KtlsError, ServerConfig, certs

from .failure import Failure, reason
from .options import Options

__all__ = ["Identity", "client_config", "load_identity", "server_config"]


class Identity(NamedTuple):
    """A certificate chain and its private key, as PEM, and where they are from."""

    cert: bytes
    key: bytes
    origin: str

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate."""
        return certs.fingerprint(self.cert)


def load_identity(options: Options) -> Identity:
    """Read the certificate and the key, or make them."""
    if options.cert is None or options.key is None:
        return Identity(*certs.self_signed(_own_names(options)), "self-signed")
    return Identity(
        _read(options.cert, "certificate"), _read(options.key, "private key"), str(options.cert)
    )


def server_config(options: Options, identity: Identity) -> ServerConfig:
    """Build the configuration of a proxy that takes TLS connections."""
    try:
        return ServerConfig(
            identity.cert,
            identity.key,
            alpn=options.alpn,
            keylog=_keylog(options),
            rekey_bytes=options.rekey_every,
            rekey_peer=options.rekey_peer,
            rekey_interval=options.rekey_interval,
            key_update_limit=options.key_update_limit,
        )
    except KtlsError as error:
        msg = (
            f"cannot use certificate {options.cert} with key {options.key}: {reason(error)};"
            " give a certificate chain, leaf first, and its private key as PEM"
        )
        raise Failure(msg) from error


def client_config(options: Options) -> ClientConfig:
    """Build the configuration of a proxy that makes TLS connections."""
    named = options.ca in ("system", "webpki")
    roots = options.ca if named else _read(Path(options.ca), "root certificates")
    try:
        return ClientConfig(
            roots,
            alpn=options.alpn,
            keylog=_keylog(options),
            rekey_bytes=options.rekey_every,
            rekey_peer=options.rekey_peer,
            rekey_interval=options.rekey_interval,
            key_update_limit=options.key_update_limit,
        )
    except KtlsError as error:
        msg = (
            f"cannot use root certificates {options.ca}: {reason(error)};"
            " give --ca a PEM file, system or webpki"
        )
        raise Failure(msg) from error


def _own_names(options: Options) -> list[str]:
    extra = [options.listen.host] if _is_name(options.listen.host) else []
    return list(dict.fromkeys([*certs.LOOPBACK_NAMES, *extra]))


def _is_name(host: str) -> bool:
    return host not in ("", "0.0.0.0", "::")


def _keylog(options: Options) -> str | None:
    """Check that the key log can be written: the core would learn it in a handshake only."""
    if options.keylog is None:
        return None
    try:
        options.keylog.open("ab").close()
    except OSError as error:
        msg = (
            f"cannot write the key log {options.keylog}: {reason(error)};"
            " give --keylog a file in a directory that exists"
        )
        raise Failure(msg) from error
    return str(options.keylog)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read the {what} {path}: {reason(error)}"
        raise Failure(msg) from error
