"""The end of a connection over memory BIOs: the same results as those of OpenSSL."""

import ssl as stdlib_ssl
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ktls_fast import ssl
from tests.drop_in.contexts import VERSIONS, BioEnd, BioPair, Contexts, bio_pair

MODULES = pytest.mark.parametrize("module", [ssl, stdlib_ssl], ids=["ours", "stdlib"])


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> stdlib_ssl.TLSVersion:
    return request.param  # type: ignore[no-any-return]


def outcome(call: Callable[[], Any]) -> object:
    """Return the result of a call, or the parts of its error that frameworks look at."""
    try:
        return call()
    except ssl.SSLError as error:
        text = str(error).partition(" (")[0]
        return type(error), error.errno, error.library, error.reason, text


def everything_after(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, script: Callable[[BioPair], list[object]]
) -> None:
    """Compare what a script sees with our server and with OpenSSL's."""
    results = []
    for module in (ssl, stdlib_ssl):
        client = contexts.client(version, stdlib_ssl)
        pair = bio_pair(client, contexts.server(version, module))
        pair.client.read_all()
        results.append(script(pair))
    assert results[0] == results[1]


def close(end: BioEnd) -> None:
    assert not end.step(end.tls.unwrap)


def test_a_regular_end(contexts: Contexts, version: stdlib_ssl.TLSVersion) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.client.tls.write(b"last")
        close(pair.client)
        pair.carry()
        tls = pair.server.tls
        seen = [outcome(lambda: tls.read(100)) for _ in range(3)]
        seen.append(outcome(lambda: tls.write(b"half-closed")))
        seen.append(outcome(tls.unwrap))
        seen.extend(outcome(lambda: tls.read(5)) for _ in range(2))
        seen.append(outcome(lambda: tls.write(b"z")))
        pair.carry()
        seen.append(pair.server.tls.pending())
        return seen

    everything_after(contexts, version, script)


def test_our_end_first(contexts: Contexts, version: stdlib_ssl.TLSVersion) -> None:
    def script(pair: BioPair) -> list[object]:
        tls = pair.server.tls
        seen = [outcome(tls.unwrap), outcome(lambda: tls.write(b"z"))]
        pair.carry()
        seen.append(outcome(lambda: pair.client.tls.read(1)))
        pair.client.tls.unwrap()
        pair.carry()
        seen.extend([outcome(tls.unwrap), outcome(lambda: tls.read(1))])
        return seen

    everything_after(contexts, version, script)


def test_data_in_front_of_the_peers_close_notify_is_an_error_of_unwrap(
    contexts: Contexts, version: stdlib_ssl.TLSVersion
) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.client.tls.write(b"unread")
        close(pair.client)
        pair.carry()
        tls = pair.server.tls
        seen = [outcome(tls.unwrap), outcome(tls.unwrap), outcome(lambda: tls.read(5))]
        seen.append(outcome(lambda: tls.write(b"z")))
        return seen

    everything_after(contexts, version, script)


def test_an_end_without_close_notify(contexts: Contexts, version: stdlib_ssl.TLSVersion) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.client.tls.write(b"data")
        pair.carry()
        pair.server.incoming.write_eof()
        tls = pair.server.tls
        seen = [outcome(lambda: tls.read(100)) for _ in range(3)]
        seen.extend([outcome(lambda: tls.write(b"z")), outcome(tls.unwrap)])
        return seen

    everything_after(contexts, version, script)


def test_an_end_inside_of_a_record(contexts: Contexts, version: stdlib_ssl.TLSVersion) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.client.tls.write(b"data")
        pair.server.incoming.write(pair.client.outgoing.read()[:-1])
        tls = pair.server.tls
        seen = [outcome(lambda: tls.read(100))]
        pair.server.incoming.write_eof()
        seen.extend(outcome(lambda: tls.read(100)) for _ in range(2))
        return seen

    everything_after(contexts, version, script)


def forged(record: bytes) -> bytes:
    return record[:-1] + bytes([record[-1] ^ 1])


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_forged_record_is_reported_after_the_data_in_front_of_it(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, before: int
) -> None:
    def script(pair: BioPair) -> list[object]:
        good = b""
        for _ in range(before):
            pair.client.tls.write(b"good")
            good += pair.client.outgoing.read()
        pair.client.tls.write(b"forged")
        pair.server.incoming.write(good + forged(pair.client.outgoing.read()))
        tls = pair.server.tls
        data = b""
        while isinstance(got := outcome(lambda: tls.read(100)), bytes):
            data += got
        seen: list[object] = [data, got, pair.server.outgoing.pending > 0]
        seen.extend([outcome(lambda: tls.read(1)), outcome(lambda: tls.write(b"z"))])
        seen.append(outcome(tls.unwrap))
        pair.carry()
        seen.append(outcome(lambda: pair.client.tls.read(1)))
        return seen

    everything_after(contexts, version, script)


def test_a_fatal_alert_of_the_peer(contexts: Contexts, version: stdlib_ssl.TLSVersion) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.server.tls.write(b"forged")
        pair.client.incoming.write(forged(pair.server.outgoing.read()))
        outcome(lambda: pair.client.tls.read(1))
        pair.carry()
        tls = pair.server.tls
        return [outcome(lambda: tls.read(1)), outcome(tls.unwrap)]

    everything_after(contexts, version, script)


@pytest.mark.parametrize(
    "wire",
    [b"\x17\x03\x03\xff\xff", b"\x17\x03\x03\x00\x01\x00", b"\x17\x03\x03\x00\x20" + bytes(32)],
)
def test_an_impossible_record_is_the_same_error(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, wire: bytes
) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.server.incoming.write(wire)
        return [outcome(lambda: pair.server.tls.read(5))]

    everything_after(contexts, version, script)


def test_arguments_of_read(contexts: Contexts, version: stdlib_ssl.TLSVersion) -> None:
    def script(pair: BioPair) -> list[object]:
        pair.client.tls.write(b"0123456789abcdef")
        pair.carry()
        tls, buffer = pair.server.tls, bytearray(4)
        seen: list[object] = [tls.read(0), tls.read(2, buffer), bytes(buffer)]
        seen.extend([tls.read(0, buffer), bytes(buffer), tls.read(100, buffer), bytes(buffer)])
        with pytest.raises(ValueError, match="size should not be negative"):
            tls.read(-1)
        with pytest.raises(TypeError):
            tls.read(1, b"read only")
        seen.extend([tls.read(5, bytearray()), tls.write(b""), tls.read()])
        return seen

    everything_after(contexts, version, script)


@MODULES
def test_what_follows_both_close_notify_goes_back_to_the_bio(
    contexts: Contexts, version: stdlib_ssl.TLSVersion, module: ModuleType
) -> None:
    pair = bio_pair(contexts.client(version, stdlib_ssl), contexts.server(version, module))
    pair.client.read_all()
    close(pair.server)
    pair.carry()
    pair.client.tls.unwrap()
    pair.carry()
    pair.server.incoming.write(b"in the clear")
    pair.server.tls.unwrap()
    assert pair.server.incoming.read() == b"in the clear"
