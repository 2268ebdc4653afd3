"""The state of a kernel TLS socket, as ``sock_diag`` (netlink) reports it."""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

from ._core import TlsInfo
from .errors import KtlsError

__all__ = ["query", "tls_info"]

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST: Final = 1
NLMSG_ERROR: Final = 2
NLA_TYPE_MASK: Final = 0x3FFF
"""Mask of an attribute's type; its two highest bits are flags."""

INET_DIAG_INFO: Final = 2
INET_DIAG_ULP_INFO: Final = 19
INET_ULP_INFO_TLS: Final = 2
VERSION, CIPHER, TXCONF, RXCONF, ZC_RO_TX, RX_NO_PAD, TX_MAX_PAYLOAD_LEN = range(1, 8)

HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
REQUEST: Final = struct.Struct("=BBBxI")  # family, protocol, extensions, states
ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
U16: Final = struct.Struct("=H")
INET_DIAG_MSG_SIZE: Final = 72

SO_COOKIE: Final = 57
SO_BINDTOIFINDEX: Final = 62
ALL_STATES: Final = 0xFFFFFFFF
TIMEOUT: Final = 5.0

Attributes = dict[int, bytes]


def query(sock: socket.socket) -> bytes:
    """Request the state of ``sock`` and return the kernel's answer, a netlink message.

    :raises OSError: the kernel refuses the request, or has no sock_diag.
    """
    body = _request(sock)
    header = HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(TIMEOUT)
        netlink.sendto(header + body, (0, 0))
        return netlink.recv(1 << 16)


def tls_info(answer: bytes) -> TlsInfo | None:
    """Parse the kernel's answer; return None if it contains nothing about TLS.

    :raises OSError: the answer is an error; the exception has its errno.
    :raises KtlsError: EPROTO: the answer is truncated.
    """
    attributes = dict(_attributes(_payload(answer)[INET_DIAG_MSG_SIZE:]))
    ulp = dict(_attributes(attributes.get(INET_DIAG_ULP_INFO, b"")))
    if INET_ULP_INFO_TLS not in ulp:
        return None
    return _parse_tls_nest(dict(_attributes(ulp[INET_ULP_INFO_TLS])))


def _parse_tls_nest(nest: Attributes) -> TlsInfo:
    return TlsInfo(
        version=_number(nest, VERSION),
        cipher_type=_number(nest, CIPHER),
        tx_conf=_number(nest, TXCONF) or 0,
        rx_conf=_number(nest, RXCONF) or 0,
        zc_ro_tx=ZC_RO_TX in nest,
        rx_no_pad=RX_NO_PAD in nest,
        tx_max_payload_len=_number(nest, TX_MAX_PAYLOAD_LEN) or 0,
    )


def _number(nest: Attributes, kind: int) -> int | None:
    """Return the 16-bit value of an attribute, or None if the attribute is absent."""
    if kind not in nest:
        return None
    if len(nest[kind]) < U16.size:
        raise _truncated_error(nest[kind])
    number: int = U16.unpack_from(nest[kind])[0]
    return number


def _payload(answer: bytes) -> bytes:
    """Return the payload of a netlink message; raise OSError if it is an error message."""
    if len(answer) < HEADER.size:
        raise _truncated_error(answer)
    size, kind, *_ = HEADER.unpack_from(answer)
    if not HEADER.size <= size <= len(answer):
        raise _truncated_error(answer)
    payload = answer[HEADER.size : size]
    if kind == NLMSG_ERROR:
        code = -int.from_bytes(payload[:4], sys.byteorder, signed=True)
        raise OSError(code, os.strerror(code))
    return payload


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and value of each netlink attribute; they are aligned to four bytes."""
    while data:
        if len(data) < ATTRIBUTE.size:
            raise _truncated_error(data)
        size, kind = ATTRIBUTE.unpack_from(data)
        if not ATTRIBUTE.size <= size <= len(data):
            raise _truncated_error(data)
        yield kind & NLA_TYPE_MASK, data[ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]


def _truncated_error(data: bytes) -> KtlsError:
    msg = f"the answer of sock_diag is truncated: its last part has {len(data)} bytes"
    return KtlsError(errno.EPROTO, msg)


def _request(sock: socket.socket) -> bytes:
    """Return the body of a request for exactly this socket, which the cookie identifies.

    The requested extension is ``INET_DIAG_INFO``: the kernel reports the ULP along with TCP.
    """
    near, far = sock.getsockname(), sock.getpeername()
    cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder)
    device = sock.getsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX)
    return b"".join(
        (
            REQUEST.pack(sock.family, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), ALL_STATES),
            struct.pack(">HH", near[1], far[1]),
            _address(sock.family, near[0]),
            _address(sock.family, far[0]),
            struct.pack("=III", device, cookie & 0xFFFFFFFF, cookie >> 32),
        )
    )


def _address(family: int, host: str) -> bytes:
    """Return the address in binary, without its scope, padded to 16 bytes for either family."""
    return socket.inet_pton(family, host.partition("%")[0]).ljust(16, b"\0")
