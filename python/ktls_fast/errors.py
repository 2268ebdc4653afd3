"""The exceptions of the package. Each is an ``OSError`` with the errno of a kernel TLS socket.

* KtlsError
  * BadRecordError       EBADMSG      a record does not authenticate, or is malformed
  * RecordTooLargeError  EMSGSIZE     over the limit of RFC 8446 §5.1 or §5.2
  * KeyExpiredError      EKEYEXPIRED  a KeyUpdate was received; the next key must be installed
  * KeyLimitError        EKEYEXPIRED  the key has reached its record limit (RFC 8446 §5.5)
  * ConfigError          EINVAL       a configuration that cannot work; also a ValueError
  * HandshakeError       EPROTO       the handshake failed
  * PeerError            EPROTO       the peer broke a rule; the text names the alert sent to it
  * AlertReceivedError   ECONNABORTED the peer sent the fatal alert that the text names
  * TruncatedError       ECONNRESET   the connection ended without close_notify
  * WantReadError        EAGAIN       more bytes of the peer are needed; also a BlockingIOError
  * WantWriteError       EAGAIN       TCP accepts no more bytes now; also a BlockingIOError
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
    "WantReadError",
    "WantWriteError",
]


class KtlsError(OSError):
    """Base class of the errors of this package.

    It is raised itself, with the kernel's errno, where no subclass fits.
    """


class BadRecordError(KtlsError):
    """EBADMSG: a record does not authenticate, or is malformed."""


class RecordTooLargeError(KtlsError):
    """EMSGSIZE: a record or a plaintext is longer than allowed."""


class KeyExpiredError(KtlsError):
    """EKEYEXPIRED: a KeyUpdate was received and the next receive key is not installed."""


class KeyLimitError(KtlsError):
    """EKEYEXPIRED: the key has sealed the largest number of records that its cipher allows."""


class ConfigError(KtlsError, ValueError):
    """EINVAL: a configuration cannot be parsed, contradicts itself or violates the protocol."""


class HandshakeError(KtlsError):
    """EPROTO: the handshake failed; the text says why."""


class PeerError(KtlsError):
    """EPROTO: the peer broke a rule of the protocol; the text names the alert sent to it."""


class AlertReceivedError(KtlsError):
    """ECONNABORTED: the peer ended the connection with the alert that the text names."""


class TruncatedError(KtlsError):
    """ECONNRESET: the peer ended the connection without close_notify; data may be missing."""


class WantReadError(KtlsError, BlockingIOError):
    """EAGAIN: a call without blocking needs more bytes of the peer. Call again when they came."""


class WantWriteError(KtlsError, BlockingIOError):
    """EAGAIN: a call without blocking has bytes for which TCP has no room. Call again later."""
