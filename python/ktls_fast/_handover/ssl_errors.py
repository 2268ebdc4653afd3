"""Errors of the engine as the exceptions that ``ssl`` raises.

Frameworks look at the class, at ``errno``, ``reason`` and ``library``, and at the text.
"""

import ssl
from typing import TypeVar

from ktls_fast.errors import AlertReceivedError, KtlsError, PeerError, TruncatedError

_E = TypeVar("_E", bound=ssl.SSLError)

# Plain numbers, as those of the interpreter's own errors.
_SSL = int(ssl.SSL_ERROR_SSL)
_WANT_READ = int(ssl.SSL_ERROR_WANT_READ)
_WANT_WRITE = int(ssl.SSL_ERROR_WANT_WRITE)
_ZERO_RETURN = int(ssl.SSL_ERROR_ZERO_RETURN)
_EOF = int(ssl.SSL_ERROR_EOF)

# The names that OpenSSL gives to alerts of the peer: those of SSL 3.0 keep its name.
_OF_SSL3 = {
    "unexpected_message",
    "bad_record_mac",
    "handshake_failure",
    "bad_certificate",
    "unsupported_certificate",
    "certificate_revoked",
    "certificate_expired",
    "certificate_unknown",
    "illegal_parameter",
}
_OF_TLS13 = {"missing_extension", "certificate_required"}
# What OpenSSL reports when it sends an alert.
_REASONS = {
    "bad_record_mac": "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "record_overflow": "PACKET_LENGTH_TOO_LONG",
    "protocol_version": "WRONG_VERSION_NUMBER",
    "unexpected_message": "UNEXPECTED_MESSAGE",
    "decode_error": "LENGTH_MISMATCH",
    "illegal_parameter": "BAD_KEY_UPDATE",
}
_MARK = "the alert "


def want_read() -> ssl.SSLWantReadError:
    """Return the error of a call that needs bytes of the peer."""
    text = "The operation did not complete (read) (ktls_fast)"
    return _named(ssl.SSLWantReadError(_WANT_READ, text), None)


def want_write() -> ssl.SSLWantWriteError:
    """Return the error of a call whose bytes TCP does not take now."""
    text = "The operation did not complete (write) (ktls_fast)"
    return _named(ssl.SSLWantWriteError(_WANT_WRITE, text), None)


def closed_by_both() -> ssl.SSLZeroReturnError:
    """Return the error of a read after both ends have sent close_notify."""
    text = "TLS/SSL connection has been closed (EOF) (ktls_fast)"
    return _named(ssl.SSLZeroReturnError(_ZERO_RETURN, text), None)


def after_failure() -> ssl.SSLEOFError:
    """Return the error of every call after the connection has failed."""
    text = "EOF occurred in violation of protocol (ktls_fast)"
    return _named(ssl.SSLEOFError(_EOF, text), None)


def truncated() -> ssl.SSLEOFError:
    """Return the error of a read at an end without close_notify."""
    reason = "UNEXPECTED_EOF_WHILE_READING"
    text = f"[SSL: {reason}] EOF occurred in violation of protocol (ktls_fast)"
    return _named(ssl.SSLEOFError(_EOF, text), reason)


def ssl_error(reason: str, detail: str = "ktls_fast") -> ssl.SSLError:
    """Return the error with OpenSSL's ``reason``, such as ``"PROTOCOL_IS_SHUTDOWN"``."""
    words = reason.lower().replace("_", " ")
    error = ssl.SSLError(_SSL, f"[SSL: {reason}] {words} ({detail})")
    return _named(error, reason)


def converted(error: OSError) -> OSError:
    """Return the exception that ``ssl`` would raise for an error of the engine."""
    if isinstance(error, TruncatedError):
        return truncated()
    if isinstance(error, BrokenPipeError):
        return ssl_error("PROTOCOL_IS_SHUTDOWN")
    if isinstance(error, KtlsError):
        return ssl_error(_reason(error), f"ktls_fast: {error.strerror}")
    return error


def _reason(error: KtlsError) -> str:
    # The texts name the alert last: "... the alert bad_record_mac (20)".
    alert = str(error.strerror).rpartition(_MARK)[2].partition(" ")[0]
    if isinstance(error, AlertReceivedError):
        prefix = "SSLV3" if alert in _OF_SSL3 else "TLSV13" if alert in _OF_TLS13 else "TLSV1"
        return f"{prefix}_ALERT_{alert.upper()}"
    if isinstance(error, PeerError):
        return _REASONS.get(alert, alert.upper())
    return "INTERNAL_ERROR"


def _named(error: _E, reason: str | None) -> _E:
    # The interpreter sets both attributes of every error. typeshed says that they are strings.
    error.library = None if reason is None else "SSL"  # type: ignore[assignment]
    error.reason = reason  # type: ignore[assignment]
    return error
