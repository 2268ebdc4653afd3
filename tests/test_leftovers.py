"""Plaintext and keys are not left in the memory of the process after their use."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ktls_fast import Connection, Suite, TrafficSecret
from tests.ktls_ends import MakePair
from tests.leftovers import MARK, MARKS, SCENARIOS, marked

SENDS = {"read_connection", "read_socket", "read_some_and_drop", "pass_on"}
RECEIVES = {"write_socket"}
# Freed memory must stay mapped to be searched; the pieces that the search reads need not.
KEEP_FREED = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 19)}


@pytest.fixture(autouse=True)
def _memory() -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("/proc/self/mem is not here")


def peer_of(near_secrets: tuple[int, int], sock: object) -> Connection:
    tx, rx = (TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes([i]) * 32) for i in near_secrets)
    return Connection.from_secrets(sock, server_side=True, tx=tx, rx=rx)  # type: ignore[arg-type]


def marks_left(scenario: str, tcp_pair: MakePair) -> list[int]:
    near, far = tcp_pair()
    command = [sys.executable, "-m", "tests.leftovers", scenario, str(near.fileno())]
    process = subprocess.Popen(
        command,
        pass_fds=[near.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | KEEP_FREED,
    )
    near.close()
    peer = peer_of((2, 1), far)
    server = threading.Thread(target=serve, args=(peer, scenario))
    server.start()
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        server.join(30)
        peer.close()
    assert (process.returncode, errors) == (0, "")
    return [int(number) for number in output.split()]


def serve(peer: Connection, scenario: str) -> None:
    try:
        if scenario in SENDS:
            peer.sendall(marked(MARKS * MARK.size))
        while scenario in RECEIVES and peer.read():
            pass
    except OSError:
        # The other end is closed, as some of them are at once.
        pass


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"nothing"}))
def test_the_tests_leave_nothing_behind(scenario: str, tcp_pair: MakePair) -> None:
    found = marks_left(scenario, tcp_pair)
    assert found == [], f"{len(found)} marks"


def test_the_search_finds_leftovers(tcp_pair: MakePair) -> None:
    assert marks_left("nothing", tcp_pair) == list(range(7, 12))
