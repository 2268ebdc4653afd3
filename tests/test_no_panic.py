"""No panic of Rust reaches Python: in the sources, without NumPy, and at extreme numbers."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

CRATE = Path(__file__).parents[1] / "rust" / "ktls-py"

WAYS = {
    r"\.(unwrap|expect|unwrap_err|expect_err)\(": "panics on the other case",
    r"\b(panic|unreachable|todo|unimplemented|assert|assert_eq|assert_ne)!": "panics",
    r"\b(numpy|PyArray\d*|PyReadonlyArray\d*)::|use numpy": "panics without NumPy",
    r"\bPy(Bytes|ByteArray|List|Tuple)::new\(": "panics without memory",
    r"\.get_item\([^)]*\)\.unwrap|\.downcast_unchecked|\.with_gil\(": "panics or is unsound",
    r"Instant::now\(\) \+ (?!EXIT)|\bDuration::from_secs_f(32|64)\(": "panics at extreme numbers",
    r"\.copy_from_slice\((?!contents\))": "panics on two lengths",
    r"\.split_at(_mut)?\(": "panics outside",
}
"""What a line may not hold. What clippy knows of, it refuses by the lints at the top of lib.rs."""

LINTS = ["expect_used", "indexing_slicing", "panic", "string_slice", "unreachable", "unwrap_used"]


def lines() -> Iterator[tuple[str, str]]:
    for path in sorted((CRATE / "src").rglob("*.rs")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if not line.lstrip().startswith("//"):
                yield f"{path.name}:{number}", line


@pytest.mark.parametrize(("way", "why"), WAYS.items(), ids=WAYS.values())
def test_no_line_of_the_binding_can_panic(way: str, why: str) -> None:
    found = [f"{place}: {line.strip()}" for place, line in lines() if re.search(way, line)]
    assert not found, why


def test_clippy_refuses_panicking_calls_in_the_binding() -> None:
    head = (CRATE / "src" / "lib.rs").read_text()
    for lint in LINTS:
        assert re.search(rf"^    clippy::{lint}\b", head, re.MULTILINE), lint
    assert "panic" in (CRATE / "clippy.toml").read_text()


def run(script: str) -> None:
    script = textwrap.dedent(script)
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_without_numpy_only_array_results_are_missing() -> None:
    run("""
        import sys
        sys.modules["numpy"] = None  # as if it were not installed
        from array import array
        from ktls_fast import KeyUpdateScanner, Opener, Sealer
        from ktls_fast import key_update_message, scan_key_updates
        from tests.reference import AES_GCM_128, TLS13, traffic_key

        key = traffic_key(TLS13, AES_GCM_128)
        sealed = Sealer(key.struct()).seal_batch(
            b"abcd", offsets=array("q", [0, 2]), lengths=array("q", [2, 2]), types=b"\\x17\\x15"
        )
        opened = Opener(key.struct()).open_batch(sealed.wire)
        assert (len(sealed), len(opened), opened.data) == (2, 2, b"abcd")
        for batch in sealed, opened:
            for name in "offsets", "lengths", "types":
                if hasattr(type(batch), name):
                    try:
                        getattr(batch, name)
                    except ImportError as error:
                        assert "numpy" in str(error)
                    else:
                        raise SystemExit(name)
        places, fives = array("q", [0]), array("q", [5])
        found = scan_key_updates(b"\\x16", places, fives, key_update_message())
        assert found == [(0, False, None)]
        try:
            scan_key_updates([22], places, fives, b"12345")
        except TypeError:
            pass
        else:
            raise SystemExit("a list was taken")
    """)


def test_an_import_error_of_numpy_is_raised_unchanged() -> None:
    run("""
        import sys, types
        sys.modules["numpy"] = types.ModuleType("numpy")
        from ktls_fast import Sealer
        from tests.reference import AES_GCM_128, TLS13, traffic_key

        batch = Sealer(traffic_key(TLS13, AES_GCM_128).struct()).seal_batch(b"data")
        try:
            batch.offsets
        except AttributeError:
            pass
        else:
            raise SystemExit("offsets")
    """)


def test_extreme_numbers_are_accepted_or_refused() -> None:
    """Test the extreme values of all numbers; ``Exception`` does not catch a panic."""
    run("""
        import socket
        from contextlib import suppress
        import ktls_fast as k
        from ktls_fast import _core
        from tests.reference import AES_GCM_128, TLS13, traffic_key

        key = traffic_key(TLS13, AES_GCM_128)
        ints = [n + d for n in (0, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64)
                for d in (-1, 0, 1)] + [-2**31, -2**63]
        floats = [0.0, -0.0, 5e-324, 1e-9, 1e9, 1e18, 1.8446744073709552e19, 1e300,
                  float("inf"), float("nan"), -1.0]
        ours, theirs = socket.socketpair()
        sock = k.KtlsSocket(ours)
        sock.settimeout(0)
        relay = k.Relay()
        pair = socket.socketpair()
        secrets = [k.TrafficSecret(0x1301, bytes([n]) * 32) for n in (1, 2)]
        conn = k.Connection.from_secrets(pair[0], server_side=True, tx=secrets[0], rx=secrets[1])
        conn.settimeout(0)
        calls = [
            lambda n: k.Sealer(key.struct(), record_limit=n),
            lambda n: k.Sealer(key.struct()).seal(b"data", n),
            lambda n: k.Sealer(key.struct()).seal_batch(b"data", record_size=n),
            lambda n: k.Sealer(key.struct()).seal_batch(b"data", threads=n),
            lambda n: k.Opener(key.struct()).open_batch(key.seal(b"data"), threads=n),
            lambda n: k.CryptoInfo(n, 51, key=bytes(16), iv=bytes(8), salt=bytes(4)),
            lambda n: k.CryptoInfo(0x304, n, key=bytes(16), iv=bytes(8), salt=bytes(4)),
            lambda n: k.TrafficSecret(n, bytes(32)),
            lambda n: k.TrafficSecret(0x1301, bytes(32), generation=n).next(),
            lambda n: secrets[0].crypto_info(n),
            lambda n: k.KeyUpdateScanner().feed(n, b"data"),
            lambda n: sock.recv(n) if n < 2**31 or n > 2**40 else None,
            lambda n: sock.recv(10, n),
            lambda n: sock.recv_into(bytearray(10), n, n),
            lambda n: sock.recvmsg(10, n, n),
            lambda n: sock.send(b"", n),
            lambda n: sock.sendmsg([b""], [(n, n, b"")], n),
            lambda n: sock.getsockopt(n, n, 4),
            lambda n: sock.getsockopt(282, 1, n),
            lambda n: sock.setsockopt(282, n, n),
            lambda n: sock.setsockopt(1, 18, n),
            lambda n: sock.poll(n, 0),
            lambda n: sock.settimeout(n),
            lambda n: conn.read(n) if n < 2**31 or n > 2**40 else None,
            lambda n: conn.recv(10, n),
            lambda n: conn.relay(theirs, idle_timeout=n, stop_fd=0) if n < 0 else None,
            lambda n: k.OffloadQueue(n if n < 4 else 0, depth=n, slots=n).close(),
            lambda n: k.Relay(n) if n < 1 or n > 2**63 else None,
            lambda n: relay.add(theirs, theirs, idle_timeout=n),
            lambda n: k.ClientConfig("webpki", rekey_bytes=n, rekey_records=n),
            lambda n: k.ClientConfig("webpki", key_update_limit=(n, 1.0)),
            lambda n: k.Opener(key.struct()[:-8] + (n % 2**64).to_bytes(8, "big")).open(b""),
        ]
        timed = [
            lambda t: sock.settimeout(t),
            lambda t: sock.poll(1, t) if t <= 1e-9 else None,
            lambda t: conn.settimeout(t),
            lambda t: k.ClientConfig("webpki", key_update_limit=(1, t)),
            lambda t: relay.add(conn, theirs, idle_timeout=t).stop(),
            lambda t: k.Relay().close(t),
        ]
        for call in calls:
            for n in ints:
                sock.settimeout(0)
                conn.settimeout(0)
                with suppress(Exception):
                    call(n)
        for call in timed:
            for t in floats:
                with suppress(Exception):
                    call(t)
        relay.close(0)
        for open_one in (sock, theirs, conn, pair[1]):
            open_one.close()
    """)
