"""Bytes that were read ahead from a socket: nothing is lost, and ``select`` stays right."""

import select
import ssl as stdlib_ssl
from collections.abc import Callable
from typing import Any

import pytest

from tests.drop_in.contexts import VERSIONS, BioEnd, Contexts, is_ours
from tests.peers.support import socket_pair, start


def serve(end: BioEnd, sock: Any, last: Callable[[], bytes]) -> None:
    """Perform the server's handshake, and send all of ``last`` in one piece."""
    while not end.step(end.tls.do_handshake):
        sock.sendall(end.outgoing.read())
        end.incoming.write(sock.recv(65536))
    sock.sendall(end.outgoing.read() + last())


def test_no_whole_record_stays_inside_behind_one_that_arrived_in_two_parts(
    contexts: Contexts,
) -> None:
    near, far = socket_pair()
    end = BioEnd(contexts.server(module=stdlib_ssl), server_side=True)
    with far:
        serving = start(lambda: serve(end, far, lambda: b""))
        ours = contexts.client().wrap_socket(near, server_hostname="localhost")
        serving.result(60)
        end.tls.write(b"l" * 16384)
        large = end.outgoing.read()
        end.tls.write(b"small")
        far.sendall(large[:16000])
        ours.settimeout(0.01)
        with pytest.raises(TimeoutError):
            ours.recv(16384)
        far.sendall(large[16000:] + end.outgoing.read())
        ours.settimeout(60)
        assert ours.recv(16384) == b"l" * 16384
        assert ours.pending() == 0
        assert select.select([ours], [], [], 60)[0]
        assert ours.recv(16384) == b"small"
        ours.close()


@pytest.mark.parametrize("n", [4, 100, 65536])
@pytest.mark.parametrize("version", VERSIONS)
def test_clear_bytes_in_the_same_segment_are_received_after_unwrap(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, n: int
) -> None:
    near, far = socket_pair()
    end = BioEnd(contexts.server(version, stdlib_ssl), server_side=True)

    def last() -> bytes:
        end.tls.write(b"sealed")
        end.step(end.tls.unwrap)
        return end.outgoing.read() + b"in the clear"

    with far:
        serving = start(lambda: serve(end, far, last))
        ours = contexts.client(version).wrap_socket(near, server_hostname="localhost")
        serving.result(60)
        assert is_ours(ours)
        data = ours.recv(n)
        while len(data) < 6:
            data += ours.recv(n)
        assert data == b"sealed"
        with ours.unwrap() as plain:
            received = plain.recv(2)
            buffer = bytearray(3)
            received += buffer[: plain.recv_into(buffer)]
            while len(received) < 12:
                received += plain.recv(100)
            assert received == b"in the clear"
            far.sendall(b"more")
            assert plain.recv(10) == b"more"
            assert not vars(plain).keys() & {"recv", "recv_into", "pending"}
