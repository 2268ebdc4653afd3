"""Sessions that one worker began, and another one resumes."""

import socket
import ssl

import pytest

from tests.proxy_support import HOST, TIMEOUT, ProxyIdentity, RunningProxy, echo_proxy
from tests.streams import read_exactly


def visit(
    proxy: RunningProxy, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bool | None, ssl.SSLSession | None]:
    """Connect with ``session``; returns whether it was resumed, and what to resume next."""
    raw = socket.create_connection((HOST, proxy.port), TIMEOUT)
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        resumed, following = client.session_reused, client.session
        client.unwrap().close()
    return resumed, following


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_worker_can_resume_a_session(
    version: ssl.TLSVersion, identity: ProxyIdentity
) -> None:
    context = identity.client_context()
    context.maximum_version = version
    with echo_proxy(identity, "--workers", "4") as proxy:
        resumed, session = visit(proxy, context, None)
        assert not resumed
        for _ in range(24):  # each worker takes a part of them
            resumed, session = visit(proxy, context, session)
            assert resumed
        assert proxy.stop() == 0
