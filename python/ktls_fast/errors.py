"""The exceptions. Each is an ``OSError`` with the errno that a kernel TLS socket gives.

* KtlsError
  * BadRecordError       EBADMSG      a record does not authenticate, or is malformed
  * RecordTooLargeError  EMSGSIZE     over the limit of RFC 8446 §5.1 or §5.2
  * KeyExpiredError      EKEYEXPIRED  a KeyUpdate was received, the next key must be installed
  * KeyLimitError        EKEYEXPIRED  the key has sealed as many records as it may (RFC 8446 §5.5)
  * ConfigError          EINVAL       a configuration that cannot work; also a ValueError
  * HandshakeError       EPROTO       the handshake failed
  * PeerError            EPROTO       the peer broke a rule; it was sent the alert in the text
  * AlertReceivedError   ECONNABORTED the peer sent the fatal alert in the text
  * TruncatedError       ECONNRESET   the connection ended without close_notify
"""

__all__ = [
    "AlertReceivedError",
    "BadRecordError",
    "ConfigError",
    "HandshakeError",
    "KeyExpiredError",
    "KeyLimitError",
    "KtlsError",
    "PeerError",
    "RecordTooLargeError",
    "TruncatedError",
]


class KtlsError(OSError):
    """Base class of every error of this package; also raised itself, with the kernel's errno."""


class BadRecordError(KtlsError):
    """EBADMSG: a record does not authenticate, or is malformed."""


class RecordTooLargeError(KtlsError):
    """EMSGSIZE: a record or a plaintext is longer than allowed."""


class KeyExpiredError(KtlsError):
    """EKEYEXPIRED: a KeyUpdate was received and the next receive key is not installed."""


class KeyLimitError(KtlsError):
    """EKEYEXPIRED: the key has sealed as many records as it may."""


class ConfigError(KtlsError, ValueError):
    """EINVAL: a configuration does not parse, or does not fit together or the protocol."""


class HandshakeError(KtlsError):
    """EPROTO: the handshake failed; the text says why."""


class PeerError(KtlsError):
    """EPROTO: the peer broke a rule of the protocol; the text names the alert that it was sent."""


class AlertReceivedError(KtlsError):
    """ECONNABORTED: the peer ended the connection with the alert in the text."""


class TruncatedError(KtlsError):
    """ECONNRESET: the peer ended the connection without close_notify; data may be missing."""
