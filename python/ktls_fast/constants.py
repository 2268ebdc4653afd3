"""Numbers of the TLS protocol and of the kernel's socket interface, by their official names."""

from enum import IntEnum
from typing import Final

__all__ = [
    "SOL_TLS",
    "TCP_ULP",
    "TLS_GET_RECORD_TYPE",
    "TLS_RX",
    "TLS_RX_EXPECT_NO_PAD",
    "TLS_SET_RECORD_TYPE",
    "TLS_TX",
    "TLS_TX_MAX_PAYLOAD_LEN",
    "TLS_TX_ZEROCOPY_RO",
    "CipherType",
    "ContentType",
    "Suite",
    "TlsConf",
    "Version",
]


class ContentType(IntEnum):
    """The content type of a record (RFC 8446 §5.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class Version(IntEnum):
    """The protocol versions of a ``CryptoInfo``."""

    TLS1_2 = 0x0303
    TLS1_3 = 0x0304


class CipherType(IntEnum):
    """The kernel's ``TLS_CIPHER_*`` numbers."""

    AES_GCM_128 = 51
    AES_GCM_256 = 52
    AES_CCM_128 = 53
    CHACHA20_POLY1305 = 54
    SM4_GCM = 55
    SM4_CCM = 56
    ARIA_GCM_128 = 57
    ARIA_GCM_256 = 58


class Suite(IntEnum):
    """The TLS 1.3 cipher suites of a ``TrafficSecret`` (RFC 8446 §B.4, RFC 8998 §2)."""

    TLS_SM4_GCM_SM3 = 0x00C6
    TLS_SM4_CCM_SM3 = 0x00C7
    TLS_AES_128_GCM_SHA256 = 0x1301
    TLS_AES_256_GCM_SHA384 = 0x1302
    TLS_CHACHA20_POLY1305_SHA256 = 0x1303
    TLS_AES_128_CCM_SHA256 = 0x1304


class TlsConf(IntEnum):
    """How the kernel handles one direction of a TLS socket: the values that ``sock_diag`` reports.

    BASE stands for no TLS, SW for TLS in software and HW for TLS in the network device.
    """

    BASE = 1
    SW = 2
    HW = 3


TCP_ULP: Final = 31
"""Option of ``IPPROTO_TCP``: the value ``b"tls"`` turns a TCP socket into a TLS socket."""

SOL_TLS: Final = 282
"""Level of the ``TLS_…`` options and control messages below."""

TLS_TX: Final = 1
TLS_RX: Final = 2
TLS_TX_ZEROCOPY_RO: Final = 3
TLS_RX_EXPECT_NO_PAD: Final = 4
TLS_TX_MAX_PAYLOAD_LEN: Final = 5

TLS_SET_RECORD_TYPE: Final = 1
TLS_GET_RECORD_TYPE: Final = 2
