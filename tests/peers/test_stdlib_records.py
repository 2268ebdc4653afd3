"""Records of the ``ssl`` module, in both versions, sent whole, cut, coalesced and spoiled."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from ktls_fast import PeerError, TruncatedError
from tests.peers.bio import BioClient, bytewise
from tests.peers.ours import echoing, read_all, serve_once
from tests.peers.stdlib import TLS12, TLS13, client_context
from tests.peers.support import DEADLINE, octal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=str)


def flipped(wire: bytes) -> bytes:
    """Change the last byte of the tag of the first of two records."""
    at = len(wire) // 2 - 1
    return wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :]


def swapped(wire: bytes) -> bytes:
    """Swap two records of equal length."""
    half = len(wire) // 2
    return wire[half:] + wire[:half]


def too_long(wire: bytes) -> bytes:
    """Set the length in the header to more than 2^14+2048 bytes."""
    return wire[:3] + b"\x48\x01" + wire[5:]


SPOILED: list[tuple[Callable[[bytes], bytes], str]] = [
    (flipped, "bad_record_mac"),
    (swapped, "bad_record_mac"),
    (too_long, "record_overflow"),
]


@VERSIONS
def test_everything_arrives_byte_by_byte(pems: Path, version: ssl.TLSVersion) -> None:
    port, served = serve_once(echoing(None))
    client = BioClient(port, client_context(pems, version), bytewise)
    with client.sock:
        for size in (1, 100, 3000):
            client.send(client.sealed(octal(size)))
            received = b""
            while len(received) < size:
                received += client.receive()
            assert received == octal(size)
        client.send(client.close_notify())
        assert served.result(DEADLINE).version == version.name.replace("_", ".")


@VERSIONS
def test_data_and_close_notify_in_one_segment_with_the_finished(
    pems: Path, version: ssl.TLSVersion
) -> None:
    port, served = serve_once(read_all)
    client = BioClient(port, client_context(pems, version))
    with client.sock:
        flight = client.sealed(octal(3000)) + client.close_notify()
        client.send(flight)
        client.sock.shutdown(socket.SHUT_WR)
        assert served.result(DEADLINE) == octal(3000)


@VERSIONS
def test_records_split_at_each_offset_arrive(pems: Path, version: ssl.TLSVersion) -> None:
    port, served = serve_once(read_all)
    client = BioClient(port, client_context(pems, version))
    expected = b""
    with client.sock:
        client.send(client.kept())
        for cut in range(1, 60):
            wire = client.sealed(b"one") + client.sealed(b"two")
            client.send(wire[:cut])
            client.send(wire[cut:])
            expected += b"onetwo"
        client.send(client.close_notify())
        assert served.result(DEADLINE) == expected


@VERSIONS
@pytest.mark.parametrize(("spoil", "alert"), SPOILED)
def test_a_corrupted_record_is_answered_by_its_alert(
    pems: Path, version: ssl.TLSVersion, spoil: Callable[[bytes], bytes], alert: str
) -> None:
    port, served = serve_once(echoing(None))
    client = BioClient(port, client_context(pems, version))
    with client.sock:
        client.send(client.sealed(b"all is well"))
        assert client.receive() == b"all is well"
        client.send(spoil(client.sealed(b"first") + client.sealed(b"other")))
        with pytest.raises(ssl.SSLError, match=rf"(?i)alert {alert.replace('_', '.')}"):
            client.receive()
    with pytest.raises(PeerError, match=alert):
        served.result(DEADLINE)


@VERSIONS
@pytest.mark.parametrize("missing", [0, 1, 30])
def test_end_without_close_notify_is_truncation(
    pems: Path, version: ssl.TLSVersion, missing: int
) -> None:
    port, served = serve_once(echoing(None))
    client = BioClient(port, client_context(pems, version))
    with client.sock:
        wire = client.sealed(b"some data")
        client.send(wire[: len(wire) - missing])
        client.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(TruncatedError):
            served.result(DEADLINE)
