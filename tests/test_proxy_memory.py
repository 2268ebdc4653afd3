"""The memory that a proxy uses for idle connections."""

import ssl
from contextlib import ExitStack

import pytest

from tests.proxy_support import ProxyIdentity, connect_tls, echo_proxy
from tests.streams import read_exactly

IDLE = 100
EXCHANGES = 4
BUSY_KIB = 64
MOST_KIB = 32
"""HAProxy keeps 17 KiB; one buffer that is not given back is 36 KiB or more."""


@pytest.mark.parametrize("kib", [1, 16, BUSY_KIB])
def test_idle_connection_keeps_no_buffer(identity: ProxyIdentity, kib: int) -> None:
    with echo_proxy(identity) as proxy, ExitStack() as stack:
        # Memory for all connections, such as the buffers of the relay's threads, is not counted.
        for _ in range(8):
            _exchange(stack.enter_context(connect_tls(proxy.port, identity)), BUSY_KIB)
        before = proxy.resident_bytes()
        for _ in range(IDLE):
            _exchange(stack.enter_context(connect_tls(proxy.port, identity)), kib)
        each = (proxy.resident_bytes() - before) / IDLE / 1024
        print(f"{each:.1f} KiB for an idle connection after messages of {kib} KiB")
        assert each < MOST_KIB


def test_a_connection_continues_after_being_idle(identity: ProxyIdentity) -> None:
    """Its buffers were used by others before, with other contents."""
    with echo_proxy(identity) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(connect_tls(proxy.port, identity)) for _ in range(12)]
        for kib in (1, 64, 16, 3):
            for client in clients:
                _exchange(client, kib)
        for client in clients:
            client.unwrap()


def _exchange(client: ssl.SSLSocket, kib: int) -> None:
    for number in range(EXCHANGES):
        message = bytes([number + kib]) * (kib * 1024)
        client.sendall(message)
        assert read_exactly(client, len(message)) == message
