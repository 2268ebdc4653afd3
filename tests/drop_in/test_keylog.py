"""The key log in memory does not grow, and finds the secrets of the right handshake."""

import contextlib
import os
import ssl
from pathlib import Path

import pytest

from ktls_fast._handover.keylog import KeyLog, key_log_of
from tests.drop_in.contexts import BioEnd, Contexts, bio_pair

RANDOM = bytes(range(32))
OTHER = bytes(32)


@pytest.fixture
def log() -> KeyLog:
    return KeyLog(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def write(log: KeyLog, *lines: str) -> None:
    """Write lines as OpenSSL does."""
    path = f"/proc/self/fd/{log._fd}"
    with log, Path(path).open("a") as file:
        for line in lines:
            file.write(line + "\n")


def line(label: str, random: bytes, secret: bytes) -> str:
    return f"{label} {random.hex()} {secret.hex()}"


def test_secrets_are_found_by_the_random(log: KeyLog) -> None:
    ours, theirs = log.register(RANDOM), log.register(OTHER)
    write(
        log,
        line("CLIENT_TRAFFIC_SECRET_0", RANDOM, b"c"),
        line("SERVER_TRAFFIC_SECRET_0", RANDOM, b"s"),
        line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", RANDOM, b"h"),
        line("CLIENT_RANDOM", OTHER, b"m"),
    )
    assert [ours.get(name) for name in ("client", "server", "master")] == [b"c", b"s", None]
    assert theirs.get("master") == b"m"
    assert not ours.ambiguous


def test_a_second_set_of_secrets_is_noticed(log: KeyLog) -> None:
    ours = log.register(RANDOM)
    write(log, line("CLIENT_TRAFFIC_SECRET_0", RANDOM, b"c"))
    write(log, line("CLIENT_TRAFFIC_SECRET_0", RANDOM, b"c"))
    assert not ours.ambiguous  # the other end in the same process
    write(log, line("CLIENT_TRAFFIC_SECRET_0", RANDOM, b"d"))
    assert ours.ambiguous


def test_lines_that_are_cut_are_read_when_they_are_whole(log: KeyLog) -> None:
    ours = log.register(RANDOM)
    text = line("CLIENT_RANDOM", RANDOM, b"m") + "\n"
    with Path(f"/proc/self/fd/{log._fd}").open("a") as file, log:
        for character in text:
            file.write(character)
            file.flush()
            with log:
                pass
    assert ours.get("master") == b"m"


def test_the_file_and_the_table_do_not_grow(contexts: Contexts) -> None:
    client, server = contexts.client(), contexts.server()
    for _ in range(50):
        bio_pair(client, server)
    for context in (client, server):
        log = key_log_of(context)
        assert log is not None
        assert os.fstat(log._fd).st_size == 0
        assert len(log._secrets) == 0


def test_abandoned_handshakes_leave_nothing(contexts: Contexts) -> None:
    client, server = contexts.client(), contexts.server()
    for _ in range(50):
        near, far = BioEnd(client), BioEnd(server, server_side=True)
        near.step(near.tls.do_handshake)
        far.incoming.write(near.outgoing.read())
        far.step(far.tls.do_handshake)
        del near, far
    log = key_log_of(server)
    assert log is not None
    assert os.fstat(log._fd).st_size < 16 * 1000  # that of a few steps
    assert len(log._secrets) == 0


def test_failed_handshakes_leave_nothing(contexts: Contexts) -> None:
    client, server = contexts.client(), contexts.server()
    for _ in range(20):
        with pytest.raises(ssl.SSLError):
            bio_pair(client, server, server_hostname="other.example")
    for context in (client, server):
        log = key_log_of(context)
        assert log is not None
        assert os.fstat(log._fd).st_size < 16 * 1000  # that of a few steps
        assert len(log._secrets) == 0


def test_the_descriptor_is_closed_with_the_context(contexts: Contexts) -> None:
    server = contexts.server()
    bio_pair(contexts.client(), server)
    log = key_log_of(server)
    assert log is not None
    descriptor = log._fd
    name = Path(f"/proc/self/fd/{descriptor}").readlink()
    assert "key log" in str(name)
    del log, server
    with contextlib.suppress(FileNotFoundError):
        assert Path(f"/proc/self/fd/{descriptor}").readlink() != name


def test_the_file_is_truncated_even_if_another_thread_never_pauses(
    log: KeyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktls_fast._handover.keylog._FORCED_TRUNCATION", 1000)
    with log:
        for _ in range(20):
            write(log, line("CLIENT_RANDOM", RANDOM, bytes(48)))
        assert os.fstat(log._fd).st_size < 2000
