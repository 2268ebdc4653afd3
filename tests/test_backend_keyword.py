"""The deprecated keyword ``backend`` of ``KtlsSocket``."""

import pickle
import socket
from selectors import EVENT_READ
from typing import cast

import pytest

from ktls_fast import Connection, KeyLimitError, KtlsSocket, Namespace
from ktls_fast._kernel_socket import KernelSocket
from ktls_fast.selectors import KtlsSelector
from tests.backends import Make, SetHost, over, still_works
from tests.ktls_ends import TCP_ULP, TLS_TX, MakePair, generation, install

KEYWORD = r"^KtlsSocket always uses the engine: .* ktls_fast\.ktls_socket\(sock, backend\)$"


@pytest.mark.parametrize("backend", ["auto", "engine", "kernel"])
def test_the_deprecated_keyword_warns_and_chooses_like_the_function(
    backend: str, host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    with pytest.warns(DeprecationWarning, match=KEYWORD) as warned:
        old = cast("Make", KtlsSocket)(tcp_pair()[0], backend=backend)
    assert [warning.filename for warning in warned] == [__file__]
    with old, over(tcp_pair()[0], backend=backend) as new:
        assert isinstance(old, type(new))
        assert isinstance(old, KtlsSocket)
        assert (repr(old)[:14], old.backend) == (repr(new)[:14], new.backend)


@pytest.mark.parametrize("backend", ["auto", "kernel"])
def test_the_socket_of_the_old_keyword_is_both_of_the_kernel_and_a_ktls_socket(
    backend: str, host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    near, far = tcp_pair()
    near.settimeout(7.5)
    with pytest.warns(DeprecationWarning, match=KEYWORD):
        old = cast("Make", KtlsSocket)(near, backend=backend)
    with old, old.dup() as other:
        assert other.gettimeout() == 7.5
        assert other.fileno() != old.fileno()
        for sock in (old, other):
            assert isinstance(sock, KtlsSocket)
            assert isinstance(sock, KernelSocket)
            assert isinstance(sock, socket.socket)
            assert issubclass(type(sock), KernelSocket)
            assert not isinstance(sock, Connection)
            assert repr(sock) == f"<KernelSocket fd={sock.fileno()} backend=kernel>"
            sock.sendall(b"data")
            assert far.recv(9) == b"data"
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(sock)
        with over(tcp_pair()[0], backend="kernel") as new:
            assert not isinstance(new, KtlsSocket)


def test_a_closed_socket_of_the_old_keyword_has_no_duplicate(
    host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    with pytest.warns(DeprecationWarning, match=KEYWORD):
        old = cast("Make", KtlsSocket)(tcp_pair()[0], backend="kernel")
    old.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        old.dup()


def test_a_selector_takes_the_socket_of_the_old_keyword_for_an_ordinary_file(
    host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    near, far = tcp_pair()
    with pytest.warns(DeprecationWarning, match=KEYWORD):
        old = cast("Make", KtlsSocket)(near, backend="kernel")
    with old, KtlsSelector() as selector:
        selector.register(old, EVENT_READ)
        assert selector.select(0) == []
        far.sendall(b"data")
        assert [key.fileobj for key, _ in selector.select(60)] == [old]
        selector.unregister(old)


def test_the_deprecated_keyword_accepts_what_the_class_accepts(
    host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    namespace = Namespace()
    with pytest.warns(DeprecationWarning, match=KEYWORD):
        near = KtlsSocket(tcp_pair()[0], backend="auto", namespace=namespace, record_limit=0)
    with near:
        near.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        install(near, TLS_TX, generation(0))
        assert namespace.tls_stat()["TlsCurrTxSw"] == 1
        with pytest.raises(KeyLimitError):
            near.send(b"data")


def test_the_deprecated_keyword_refuses_what_the_function_refuses(
    host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    pair = tcp_pair()
    with (
        pytest.warns(DeprecationWarning, match=KEYWORD),
        pytest.raises(ValueError, match="not 'nic'"),
    ):
        cast("Make", KtlsSocket)(pair[0], backend="nic")
    with pytest.raises(TypeError, match="backend"):
        cast("Make", KtlsSocket)(pair[0], backend=1)
    assert still_works(pair)
