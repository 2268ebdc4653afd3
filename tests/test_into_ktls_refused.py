"""A hand-over to a kTLS socket that is refused changes nothing."""

from __future__ import annotations

import errno
import select
from typing import TYPE_CHECKING

import pytest

from ktls_fast import (
    KtlsConnection,
    KtlsSocket,
    WantReadError,
)
from tests.ktls_hand_over import (
    PlayedKernel,
    backend,
    handed_over,
    into_ktls,
    play_kernel,
    receive_exactly,
)
from tests.peers.ours import (
    paired,
    read_exactly,
)
from tests.peers.raw import DATA, REQUESTED
from tests.peers.support import DEADLINE

__all__ = ["backend"]  # a fixture

if TYPE_CHECKING:
    from ktls_fast._backends import Backend


def test_a_partial_record_refuses_the_kernel_without_waiting_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play_kernel(monkeypatch)
    with paired() as (conn, peer):
        wire = peer.tx.seal(b"one") + peer.tx.seal(b"two")
        peer.sock.sendall(wire[:-1])
        assert conn.read(2) == b"on"
        conn.settimeout(0)
        for _ in range(3):
            with pytest.raises(WantReadError):
                conn.into_ktls("kernel")
        peer.sock.sendall(wire[-1:])
        conn.settimeout(DEADLINE)
        tls = into_ktls(conn, "kernel")
        assert tls.pending() == 4
        assert tls.poll(select.POLLIN, 0) & select.POLLIN
        assert receive_exactly(tls, 4) == b"etwo"
        tls.close()


@pytest.mark.parametrize("choice", ["kernel", "auto"])
@pytest.mark.parametrize("step", [-1, 0])
def test_a_kernel_that_refuses_the_keys_changes_nothing(
    step: int, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_kernel(monkeypatch, refuses=errno.ENOTCONN, step=step)
    with paired() as (conn, peer):
        peer.sock.sendall(peer.tx.seal(b"one") + peer.sealed_key_update(REQUESTED))
        peer.send(b"two")
        assert conn.read(1) == b"o"
        if choice == "kernel":
            with pytest.raises(OSError, match="refused by the test"):
                conn.into_ktls("kernel")
            assert read_exactly(conn, 5) == b"netwo"
            conn.sendall(b"on")
        else:
            tls = into_ktls(conn, "auto")
            assert isinstance(tls.sock, KtlsSocket)
            assert receive_exactly(tls, 5) == b"netwo"
            tls.sendall(b"on")
            tls.close()
        assert peer.receive_data(2) == b"on"


@pytest.mark.parametrize("choice", ["kernel", "auto"])
def test_a_kernel_that_takes_one_key_ends_the_connection(
    choice: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_kernel(monkeypatch, refuses=errno.ENOMEM, step=1)
    with paired() as (conn, peer):
        with pytest.raises(OSError, match="refused by the test"):
            conn.into_ktls(choice)
        assert conn.fileno() == -1
        with pytest.raises(OSError, match=r"Bad file descriptor|closed") as refused:
            conn.sendall(b"under a key that the kernel may have")
        assert refused.value.errno == errno.EBADF
        assert peer.sock.recv(1) == b"", "a record was sealed after the hand-over"


def test_the_kernel_gets_the_numbers_of_the_next_records(monkeypatch: pytest.MonkeyPatch) -> None:
    play_kernel(monkeypatch)
    with paired() as (conn, peer):
        for _ in range(3):
            conn.sendall(b"x")
            peer.send(b"y")
            assert conn.read(1) == b"y"
        peer.send(b"z")
        assert conn.read(1) == b"z"
        into_ktls(conn, "kernel").close()
    [(tx, rx)] = PlayedKernel.installed.values()
    assert (tx.rec_seq, rx.rec_seq) == (3, 4)


def test_keys_of_another_socket_are_refused(backend: Backend) -> None:
    with (
        handed_over(backend) as (one, _),
        handed_over(backend) as (two, _),
        pytest.raises(ValueError, match="another socket"),
    ):
        KtlsConnection(one.sock, two.keys)


def test_an_unknown_backend_changes_nothing() -> None:
    with paired() as (conn, peer):
        with pytest.raises(ValueError, match="backend"):
            conn.into_ktls("device")  # type: ignore[arg-type]
        conn.sendall(b"on")
        assert peer.receive() == (DATA, b"on")
