"""Policies for key updates: when they fire, what they count, and where they are accepted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack

import pytest

from ktls_fast import (
    ConfigError,
    KeyLimitError,
    PeerError,
    RekeyPolicy,
    StormPolicy,
    TLSObject,
    TrafficSecret,
    tls_stat,
)
from tests.peers.ours import RekeyLimits, client_config, paired, server_config
from tests.peers.raw import secret_for
from tests.peers.support import DEADLINE
from tests.tls_objects import CLIENT_SEED, SERVER_SEED, SUITE, exchange, objects, read_all, shake

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_UPDATE = 2**48 - 1


def counted(call: Callable[[], object]) -> dict[str, int]:
    """Return the counters of connections' policies that ``call`` has increased."""
    before = tls_stat()
    call()
    after = tls_stat()
    names = [name for name in after if name.startswith(("TlsTxRekey", "TlsRxRekeyStorm"))]
    grown = {name: after[name] - before.get(name, 0) for name in names}
    return {name: count for name, count in grown.items() if count and name != "TlsTxRekeyOk"}


def write_often(end: TLSObject, times: int, size: int = 1) -> Callable[[], None]:
    def write() -> None:
        for _ in range(times):
            end.write(bytes(size))

    return write


@pytest.mark.parametrize(
    ("policy", "old", "counter"),
    [
        (
            RekeyPolicy(bytes=100, interval=0),
            {"rekey_bytes": 100, "rekey_interval": 0.0},
            "TlsTxRekeyBytes",
        ),
        (RekeyPolicy(records=10), {"rekey_records": 10}, "TlsTxRekeyRecords"),
    ],
)
def test_a_policy_means_the_same_as_the_single_arguments(
    policy: RekeyPolicy, old: dict[str, float], counter: str
) -> None:
    for options in ({"rekey": policy}, old):
        client, _ = objects(**options)
        assert counted(write_often(client, 31, 10)) == {counter: 3}
        assert client.tx_generation == 3


def test_a_key_is_renewed_after_some_seconds_with_data() -> None:
    client, server = objects(rekey=RekeyPolicy(seconds=0.05, interval=0))
    assert client.tx_generation == 0

    def write_until_renewed() -> None:
        deadline = time.monotonic() + DEADLINE
        while client.tx_generation < 2 and time.monotonic() < deadline:
            client.write(b"x")

    began = time.monotonic()
    assert counted(write_until_renewed) == {"TlsTxRekeySeconds": 2}
    assert time.monotonic() - began >= 0.1
    exchange(client, server)
    assert set(read_all(server)) == set(b"x")
    assert (server.rx_generation, server.tx_generation) == (2, 0)


def test_a_key_without_data_is_not_renewed() -> None:
    client, _ = objects(rekey=RekeyPolicy(seconds=1e-9, interval=0))
    client.key_update()
    client.key_update()
    assert client.tx_generation == 2
    client.write(b"first data under this key")
    assert client.tx_generation == 2
    client.write(b"second")
    assert client.tx_generation == 3


def test_the_interval_postpones_a_key_and_counts_it_once() -> None:
    client, _ = objects(rekey=RekeyPolicy(bytes=10, interval=3600))
    expected = {"TlsTxRekeyBytes": 1, "TlsTxRekeyPostponed": 1}
    assert counted(write_often(client, 100, 10)) == expected
    assert client.tx_generation == 1


def test_requests_and_answers_are_counted() -> None:
    policy = RekeyPolicy(bytes=10, interval=3600, peer=True)
    client, server = objects(rekey=policy)

    def transfer() -> None:
        client.write(bytes(10))
        client.write(b"x")
        server.receive(client.data_to_send())
        assert read_all(server) == bytes(10) + b"x"
        client.receive(server.data_to_send())
        assert client.pending() > 0
        client.close_notify()
        exchange(client, server)

    counts = counted(transfer)
    assert counts == {"TlsTxRekeyBytes": 1, "TlsTxRekeyRequest": 1, "TlsTxRekeyAnswer": 1}
    assert (client.tx_generation, server.tx_generation) == (1, 1)


def test_a_storm_is_counted_once() -> None:
    with paired(storm=StormPolicy(limit=2, window=60)) as (conn, peer):

        def storm() -> None:
            for _ in range(3):
                peer.send_key_update(0)
            with pytest.raises(PeerError, match="KeyUpdate"):
                conn.read()
            with pytest.raises(PeerError):
                conn.read()

        assert counted(storm) == {"TlsRxRekeyStorm": 1}


def near_the_limit(updates: int, **options: Unpack[RekeyLimits]) -> tuple[TLSObject, TLSObject]:
    """Return client and server; the client's secret is the result of ``updates`` key updates."""
    ours = TrafficSecret(SUITE, secret_for(SUITE, CLIENT_SEED), generation=updates)
    theirs = TrafficSecret(SUITE, secret_for(SUITE, SERVER_SEED))
    client = TLSObject.from_secrets(server_side=False, tx=ours, rx=theirs, **options)
    return client, TLSObject.from_secrets(server_side=True, tx=theirs, rx=ours)


def test_a_key_is_updated_at_most_as_often_as_the_rfc_allows() -> None:
    client, server = near_the_limit(LAST_UPDATE - 2)
    client.key_update()
    client.key_update(request_peer=True)
    for _ in range(2):
        with pytest.raises(KeyLimitError, match=r"2\*\*48 - 1"):
            client.key_update()
    client.write(b"still open")
    exchange(client, server)
    assert read_all(server) == b"still open"
    assert (client.tx_generation, server.rx_generation) == (2, 2)


def test_at_the_limit_requests_of_the_peer_are_ignored_and_counted() -> None:
    client, server = near_the_limit(LAST_UPDATE)

    def request() -> None:
        for _ in range(3):
            server.key_update(request_peer=True)
            server.write(b"data")
            exchange(client, server)
            assert read_all(client) == b"data"
            exchange(client, server)

    counts = counted(request)
    # A server with a request that is not answered does not send another one.
    assert counts == {"TlsTxRekeyLimit": 1, "TlsTxRekeyRequest": 1}
    assert (client.tx_generation, client.rx_generation) == (0, 3)
    client.write(b"answer")
    exchange(client, server)
    assert read_all(server) == b"answer"


def test_at_the_limit_nothing_is_due_and_records_are_full() -> None:
    policy = RekeyPolicy(bytes=10, interval=0, records=2)
    client, server = near_the_limit(LAST_UPDATE, rekey=policy)
    assert counted(write_often(client, 4, 50_000)) == {}
    assert (client.tx_generation, client.records_sent) == (0, 16)
    exchange(client, server)
    assert len(read_all(server)) == 200_000


def test_receivers_have_no_such_limit() -> None:
    client, server = near_the_limit(LAST_UPDATE - 1)
    client.key_update()
    ours = TrafficSecret(SUITE, secret_for(SUITE, SERVER_SEED), generation=2**63)
    with pytest.raises(KeyLimitError):
        client.key_update()
    theirs = TrafficSecret(SUITE, secret_for(SUITE, CLIENT_SEED))
    receiver = TLSObject.from_secrets(server_side=False, tx=theirs, rx=ours)
    server.key_update()
    server.write(b"data")
    receiver.receive(server.data_to_send())
    assert read_all(receiver) == b"data"


def test_configurations_accept_policies() -> None:
    policy = RekeyPolicy(records=3)
    server = TLSObject.server(server_config(rekey=policy, storm=StormPolicy(), tickets=0))
    client = TLSObject.client(client_config(rekey=policy, storm=StormPolicy()), "localhost")
    shake(client, server)
    for end in (client, server):
        write_often(end, 10)()
        assert end.tx_generation == 3


def test_a_policy_and_single_arguments_exclude_each_other() -> None:
    for options in (
        {"rekey_bytes": 1},
        {"rekey_records": 1},
        {"rekey_peer": True},
        {"rekey_interval": 1.0},
    ):
        with pytest.raises(ConfigError, match="pass either"):
            objects(rekey=RekeyPolicy(), **options)
    with pytest.raises(ConfigError, match="pass either"):
        server_config(storm=StormPolicy(), key_update_limit=(1, 1.0))


def test_policies_have_values_and_can_be_compared() -> None:
    policy = RekeyPolicy(bytes=5, records=6, interval=0.5, seconds=2, peer=True)
    assert (policy.bytes, policy.records, policy.interval) == (5, 6, 0.5)
    assert (policy.seconds, policy.peer) == (2.0, True)
    assert repr(policy) == "RekeyPolicy(bytes=5, records=6, interval=0.5, seconds=2, peer=True)"
    assert eval(repr(policy)) == policy
    same = RekeyPolicy(bytes=5, records=6, interval=0.5, seconds=2.0, peer=True)
    assert (policy, hash(policy)) == (same, hash(same))
    assert policy != RekeyPolicy()
    assert repr(RekeyPolicy()) == (
        "RekeyPolicy(bytes=None, records=None, interval=0.15, seconds=None, peer=False)"
    )
    storm = StormPolicy(limit=7, window=0.25)
    assert (storm.limit, storm.window) == (7, 0.25)
    assert eval(repr(storm)) == storm != StormPolicy()
    assert len({storm, StormPolicy(limit=7, window=0.25), StormPolicy()}) == 2


@pytest.mark.parametrize("options", [{"bytes": 0}, {"records": 0}, {"seconds": 0}])
def test_a_policy_that_would_never_end_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="would never end"):
        RekeyPolicy(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_seconds_must_be_a_number(value: float) -> None:
    for make in (
        lambda: RekeyPolicy(seconds=value),
        lambda: RekeyPolicy(interval=value),
        lambda: StormPolicy(window=value),
    ):
        with pytest.raises(ValueError, match="not a number of seconds"):
            make()
    for limit in (-1, 2**32):
        with pytest.raises(OverflowError):
            StormPolicy(limit=limit)
