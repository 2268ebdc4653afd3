"""The answers of sock_diag: crafted ones of TLS sockets, and the kernel's own for plain TCP."""

import errno
import socket
import struct

import pytest

from ktls_fast import KtlsError, TlsInfo, _sock_diag
from tests.ktls_ends import fails


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded to four bytes."""
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data.ljust((len(data) + 3) & ~3, b"\0")


def answer_with(*attributes: bytes, kind: int = 20) -> bytes:
    """Return an answer of sock_diag: header, inet_diag_msg, attributes."""
    body = bytes(72) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


NESTED = 0x8000
FULL = (u16(1, 0x304), u16(2, 51), u16(3, 2), u16(4, 1), attribute(6, b""), u16(7, 1000))


def tls(*nest: bytes) -> bytes:
    """Return an answer about a TLS socket, in the order of the kernel."""
    ulp = attribute(1, b"tls\0") + attribute(2 | NESTED, b"".join(nest))
    return answer_with(attribute(15, bytes(4)), attribute(19 | NESTED, ulp), attribute(22, b"xy"))


@pytest.mark.parametrize(
    ("answer", "info"),
    [
        (tls(*FULL), TlsInfo(0x304, 51, 2, 1, False, True, 1000)),
        (tls(u16(3, 1), u16(4, 1)), TlsInfo(None, None, 1, 1, False, False, 0)),
        (tls(*FULL[:4], attribute(5, b"")), TlsInfo(0x304, 51, 2, 1, True, False, 0)),
        (answer_with(), None),
        (answer_with(attribute(19, attribute(1, b"mptcp\0"))), None),
    ],
)
def test_an_answer_of_sock_diag_is_parsed(answer: bytes, info: TlsInfo | None) -> None:
    assert _sock_diag.tls_info(answer) == info


def test_a_cut_answer_is_refused() -> None:
    whole = tls(*FULL)
    for size in range(len(whole)):
        with pytest.raises(KtlsError, match="is truncated") as caught:
            _sock_diag.tls_info(whole[:size])
        assert caught.value.errno == errno.EPROTO


def test_a_cut_attribute_is_refused() -> None:
    whole = tls(*FULL)
    begin, end = 16 + 72 + 8, len(whole) - 8  # of the attribute with the nests
    for size in range(begin + 1, end):
        shorter = struct.pack("=I", size) + whole[4:size]
        with pytest.raises(KtlsError, match="is truncated"):
            _sock_diag.tls_info(shorter)


def test_an_error_of_sock_diag_is_raised_with_its_errno() -> None:
    refusal = struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -errno.ENOENT)
    with fails(errno.ENOENT):
        _sock_diag.tls_info(refusal)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_sock_diag_answers_for_the_socket_itself(family: int) -> None:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with (
        socket.create_server((host, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as near,
    ):
        answer = _sock_diag.query(near)
        assert struct.unpack_from(">H", answer, 20) == near.getsockname()[1:2]
        assert _sock_diag.tls_info(answer) is None
