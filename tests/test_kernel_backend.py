"""The choice of a backend by ``ktls_socket``, and the kernel's if the host has one."""

import errno
import socket
from typing import cast

import pytest

from ktls_fast import (
    KeyExpiredError,
    KtlsError,
    KtlsSocket,
    Namespace,
    OffloadQueue,
    _kernel_tls,
)
from ktls_fast._kernel_socket import KernelSocket
from tests.backends import Make, SetHost, over, still_works
from tests.ktls_ends import (
    KEY_UPDATE,
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    KtlsEnds,
    MakePair,
    generation,
    install,
    receive,
)
from tests.reference import HANDSHAKE

HERE = _kernel_tls.kernel_tls()
needs_ulp = pytest.mark.skipif(HERE["ulp"] != "yes", reason=f"kernel TLS: {HERE['ulp']}")


@pytest.mark.parametrize(("tls", "backend"), [(True, "kernel"), (False, "engine")])
def test_auto_chooses_the_kernel_if_it_can_rekey(
    tls: bool, backend: str, host: SetHost, tcp_pair: MakePair
) -> None:
    host(tls)
    for options in ({}, {"backend": "auto"}):
        with over(tcp_pair()[0], **options) as sock:
            assert sock.backend == backend
            name = "KernelSocket" if tls else "KtlsSocket"
            assert repr(sock) == f"<{name} fd={sock.fileno()} backend={backend}>"
            assert f"{type(sock).__module__}.{type(sock).__name__}" == f"ktls_fast.{name}"


def test_auto_chooses_the_engine_for_a_namespace(host: SetHost, tcp_pair: MakePair) -> None:
    host(True)
    with over(tcp_pair()[0], namespace=Namespace()) as sock:
        assert sock.backend == "engine"


def test_auto_chooses_the_engine_for_other_sockets_than_tcp(host: SetHost) -> None:
    host(True)
    for sock in (*socket.socketpair(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)):
        with over(sock) as made:
            assert made.backend == "engine"


@pytest.mark.parametrize("backend", ["engine", "kernel"])
def test_the_environment_variable_decides_what_auto_means(
    backend: str,
    host: SetHost,
    tcp_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host(True)
    monkeypatch.setenv("KTLS_FAST_BACKEND", backend)
    near, far = tcp_pair()
    with over(near) as sock, over(far, backend="engine") as engine:
        assert (sock.backend, engine.backend) == (backend, "engine")


@pytest.mark.parametrize("variable", [None, "auto", "engine", "kernel", "nic"])
def test_the_class_always_returns_a_ktls_socket(
    variable: str | None,
    host: SetHost,
    tcp_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host(True)
    if variable is not None:
        monkeypatch.setenv("KTLS_FAST_BACKEND", variable)
    for options in ({}, {"namespace": Namespace()}, {"record_limit": 5}):
        with cast("Make", KtlsSocket)(tcp_pair()[0], **options) as sock:
            assert type(sock) is KtlsSocket
            with sock.dup() as other:
                assert isinstance(other, KtlsSocket)


def test_the_kernel_backend_refuses_options_of_the_engine(
    host: SetHost, tcp_pair: MakePair
) -> None:
    host(True)
    pair = tcp_pair()
    with OffloadQueue(1) as queue:
        for option, value in (("device", queue), ("record_limit", 5)):
            with pytest.raises(KtlsError, match=option) as caught:
                over(pair[0], backend="kernel", **{option: value})
            assert caught.value.errno == errno.EINVAL
            with over(tcp_pair()[0], **{option: value}) as sock:
                assert sock.backend == "engine"
    assert still_works(pair)


def test_an_unknown_backend_is_refused_by_name(
    tcp_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = tcp_pair()
    sentence = "must be 'auto', 'engine' or 'kernel', not 'nic'"
    with pytest.raises(ValueError, match=f"^backend {sentence}$"):
        over(pair[0], backend="nic")
    monkeypatch.setenv("KTLS_FAST_BACKEND", "nic")
    with pytest.raises(ValueError, match=f"^KTLS_FAST_BACKEND {sentence}$"):
        over(pair[0])
    assert still_works(pair)


def test_the_kernel_backend_refuses_a_namespace(host: SetHost, tcp_pair: MakePair) -> None:
    host(True)
    pair = tcp_pair()
    with pytest.raises(KtlsError, match="pass no namespace") as caught:
        over(pair[0], backend="kernel", namespace=Namespace())
    assert caught.value.errno == errno.EINVAL
    assert still_works(pair)


def test_a_kernel_without_the_ulp_is_refused_with_what_to_do(
    tcp_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = tcp_pair()
    missing = {"ulp": "no: the kernel has no module tls", "rekey": "no"}
    monkeypatch.setattr(_kernel_tls, "kernel_tls", lambda: missing)
    _kernel_tls.require_ulp.cache_clear()
    with pytest.raises(KtlsError, match=r'has no module tls; run "modprobe tls"') as caught:
        over(pair[0], backend="kernel")
    assert caught.value.errno == errno.ENOENT
    assert still_works(pair)
    monkeypatch.setattr(_kernel_tls, "kernel_tls", lambda: {"ulp": "yes", "rekey": "no"})
    with over(pair[0], backend="kernel") as sock:
        assert sock.backend == "kernel"
    _kernel_tls.require_ulp.cache_clear()


def test_the_host_is_probed_once_for_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"ulp": "yes", "rekey": "yes"}])
    monkeypatch.setattr(_kernel_tls, "kernel_tls", lambda: next(answers))
    _kernel_tls._kernel_can_rekey.cache_clear()
    assert _kernel_tls.can_rekey()
    assert _kernel_tls.can_rekey()
    _kernel_tls._kernel_can_rekey.cache_clear()


def test_auto_chooses_the_engine_if_the_host_cannot_be_probed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> dict[str, str]:
        raise OSError(errno.ENETUNREACH, "no loopback")

    _kernel_tls._kernel_can_rekey.cache_clear()
    monkeypatch.setattr(_kernel_tls, "kernel_tls", fails)
    assert not _kernel_tls.can_rekey()
    monkeypatch.setattr(_kernel_tls, "kernel_tls", lambda: {"rekey": "yes"})
    assert _kernel_tls.can_rekey()
    _kernel_tls._kernel_can_rekey.cache_clear()


def test_a_closed_socket_or_another_object_is_refused(host: SetHost, tcp_pair: MakePair) -> None:
    host(True)
    closed, _ = tcp_pair()
    closed.close()
    for backend in ("auto", "engine", "kernel"):
        with pytest.raises(ValueError, match="the socket is closed"):
            over(closed, backend=backend)
    with pytest.raises(TypeError, match=r"not a socket\.socket"):
        over(cast("socket.socket", 1), backend="kernel")


def test_the_descriptor_and_the_timeout_are_taken_over(host: SetHost, tcp_pair: MakePair) -> None:
    host(True)
    near, _ = tcp_pair()
    near.settimeout(7.5)
    fd = near.fileno()
    with over(near) as sock:
        assert isinstance(sock, KernelSocket)
        assert (near.fileno(), sock.fileno(), sock.gettimeout()) == (-1, fd, 7.5)
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)


def keyed_by_the_kernel(pair: MakePair) -> KtlsEnds:
    near, far = (over(sock, backend="kernel") for sock in pair())
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    install(near, TLS_TX, generation(0))
    install(far, TLS_RX, generation(0))
    return KtlsEnds(near, far, Namespace())


@needs_ulp
@pytest.mark.skipif(HERE["rekey"] != "yes", reason=f"kernel TLS cannot rekey: {HERE['rekey']}")
def test_the_kernel_rekeys(tcp_pair: MakePair) -> None:
    ends = keyed_by_the_kernel(tcp_pair)
    with ends.sender, ends.receiver:
        ends.pause()
        ends.rekey_sender(1)
        ends.sender.sendall(b"new")
        with pytest.raises(KeyExpiredError):
            ends.receiver.recv(9, socket.MSG_DONTWAIT)
        ends.rekey_receiver(1)
        assert receive(ends.receiver) == (b"new", 23)


@needs_ulp
def test_the_kernel_and_the_engine_interoperate(tcp_pair: MakePair) -> None:
    near, far = tcp_pair()
    with over(near, backend="kernel") as sender, over(far, backend="engine") as receiver:
        for end, direction in ((sender, TLS_TX), (receiver, TLS_RX)):
            end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
            install(end, direction, generation(0))
        sender.sendmsg([KEY_UPDATE], [(SOL_TLS, 1, bytes([HANDSHAKE]))])
        assert receive(receiver) == (KEY_UPDATE, HANDSHAKE)
