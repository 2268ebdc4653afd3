"""Counters (``docs/kernel-rules.md``, S6.1), and namespaces that keep them apart."""

import pytest

from ktls_fast import KtlsSocket, Namespace, tls_stat
from ktls_fast._tools.proxy import format_counters
from tests.ktls_ends import (
    SOL_TLS,
    TCP_ULP,
    TLS_RX,
    TLS_TX,
    MakePair,
    closed_at_the_end,
    generation,
    install,
)


def keyed(pair: MakePair, namespace: Namespace | None) -> tuple[KtlsSocket, KtlsSocket]:
    """Return a sender and a receiver that count in ``namespace``."""
    near, far = (closed_at_the_end(KtlsSocket(sock, namespace=namespace)) for sock in pair())
    for end, direction in ((near, TLS_TX), (far, TLS_RX)):
        end.setsockopt(6, TCP_ULP, b"tls")
        install(end, direction, generation(0))
    return near, far


def moved(counters: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in counters.items() if value}


def totals() -> dict[str, int]:
    """Return the counters of the process, except those that decrease when a socket is closed."""
    return {name: value for name, value in tls_stat().items() if "Curr" not in name}


def test_a_namespace_counts_only_its_own_sockets(tcp_pair: MakePair) -> None:
    """S6.1-2, S6.1-4."""
    one, other = Namespace(), Namespace()
    before = totals()
    near, far = keyed(tcp_pair, one)
    assert moved(one.tls_stat()) == {"TlsCurrTxSw": 1, "TlsCurrRxSw": 1, "TlsTxSw": 1, "TlsRxSw": 1}
    assert moved(other.tls_stat()) == {}
    assert totals() == before
    near.close()
    far.close()
    assert moved(one.tls_stat()) == {"TlsTxSw": 1, "TlsRxSw": 1}


def test_a_namespace_counts_rekeys(tcp_pair: MakePair) -> None:
    """S6.1-3, S6.1-4."""
    namespace = Namespace()
    near, far = keyed(tcp_pair, namespace)
    before = namespace.tls_stat()
    install(near, TLS_TX, generation(1))
    with pytest.raises(OSError, match="instead of"):
        far.setsockopt(SOL_TLS, TLS_RX, generation(1).struct() + b"\0")
    counted = {name: n - before[name] for name, n in tls_stat(namespace=namespace).items()}
    assert moved(counted) == {"TlsTxRekeyOk": 1, "TlsRxRekeyError": 1}


def test_a_namespace_outlives_its_name(tcp_pair: MakePair) -> None:
    near, far = keyed(tcp_pair, Namespace())
    near.send(b"data")
    assert far.recv(100) == b"data"


def test_the_text_is_that_of_the_kernel(tcp_pair: MakePair) -> None:
    """S6.1-1."""
    namespace = Namespace()
    ends = keyed(tcp_pair, namespace)
    text = namespace.tls_stat(format="proc")
    assert text == tls_stat(format="proc", namespace=namespace)
    assert text == format_counters(namespace.tls_stat())
    assert text.splitlines()[1] == f"{'TlsCurrRxSw':32}\t1"
    assert len(ends) == 2


@pytest.mark.parametrize("call", [tls_stat, Namespace().tls_stat], ids=["process", "namespace"])
def test_another_format_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match="xml"):
        call(format="xml")
