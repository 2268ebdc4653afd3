"""Requests for more memory than there is: ``MemoryError``, and unchanged state."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's to enforce")

PRELUDE = """
import itertools, resource, socket
import numpy as np
from ktls_fast import *
from tests.peers.pki import pki
from tests.reference import AES_GCM_128, TLS13, traffic_key
from tests.tls_objects import objects

KEY = traffic_key(TLS13, AES_GCM_128)
MIB = 1 << 20

def limit_memory(more):
    with open("/proc/self/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))

def unlimited():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def refused(call, more):
    limit_memory(more)
    try:
        call()
    except MemoryError:
        unlimited()
    else:
        raise SystemExit("there was memory enough")

def check_sealer_is_new(sealer):
    assert sealer.rec_seq == 0
    assert sealer.seal(b"data") == KEY.seal(b"data")

def check_opener_is_new(opener):
    assert opener.rec_seq == 0
    assert opener.open(KEY.seal(b"data")) == (23, b"data")
"""

CASES = {
    "wire": """
        sealer, data = Sealer(KEY.struct()), bytes(5_000_000)
        refused(lambda: sealer.seal_batch(data, record_size=1), 30 * MIB)
        check_sealer_is_new(sealer)
    """,
    "wire-of-threads": """
        sealer, data = Sealer(KEY.struct()), bytes(5_000_000)
        refused(lambda: sealer.seal_batch(data, record_size=1, threads=2), 30 * MIB)
        check_sealer_is_new(sealer)
    """,
    "offsets-and-lengths-of-sealed": """
        batch = Sealer(KEY.struct()).seal_batch(bytes(5_000_000), record_size=1)
        refused(lambda: batch.offsets, 10 * MIB)
        refused(lambda: batch.lengths, 10 * MIB)
        assert batch.offsets[-1] + batch.lengths[-1] == len(batch.wire)
    """,
    "columns-of-opened": """
        wire = Sealer(KEY.struct()).seal_batch(bytes(4_000_000), record_size=1).wire
        batch = Opener(KEY.struct()).open_batch(wire)
        refused(lambda: batch.offsets, 10 * MIB)
        refused(lambda: batch.lengths, 10 * MIB)
        assert batch.offsets[-1] == len(batch.types) - 1 == 3_999_999
    """,
    "write-of-a-tls-object": """
        ours, peer = objects()
        data = bytes(64 * MIB)
        refused(lambda: ours.write(data), 20 * MIB)
        refused(lambda: ours.writelines([data, b"x"]), 20 * MIB)
        assert (ours.unsent, ours.records_sent) == (0, 0)
        ours.write(b"data")
        peer.receive(ours.data_to_send())
        assert peer.read() == b"data"
    """,
    "bytes-for-a-tls-object": """
        ours, peer = objects()
        ours.write(bytes(64 * MIB))
        refused(ours.data_to_send, 20 * MIB)
        wire = ours.data_to_send()
        refused(lambda: peer.receive(wire), 20 * MIB)
        assert peer.pending() == 0
        peer.receive(wire)
        refused(lambda: peer.read(1 << 40), 20 * MIB)
        assert len(peer.read(1 << 40)) == 64 * MIB
    """,
    "bytes-for-a-handshake": """
        server = TLSObject.server(ServerConfig(pki().server.cert, pki().server.key))
        refused(lambda: server.receive(bytes(40 * MIB)), 50 * MIB)
        assert (server.wants, server.pending()) == (5, 0)
    """,
    "pieces-to-seal": """
        sealer, none = Sealer(KEY.struct()), np.zeros(4_000_000, np.int64)
        out = bytearray(len(none) * sealer.overhead)
        seal = lambda: sealer.seal_batch(b"", offsets=none, lengths=none, out=out)
        refused(seal, 40 * MIB)
        check_sealer_is_new(sealer)
        assert not any(out[:1000])
    """,
    "records-to-open": """
        opener, wire = Opener(KEY.struct()), b"\\x17\\x03\\x03\\0\\0" * 20_000_000
        refused(lambda: opener.open_batch(wire, bytearray(100)), 30 * MIB)
        refused(lambda: opener.open_batch(wire, bytearray(100), threads=2), 30 * MIB)
        check_opener_is_new(opener)
    """,
    "plaintext": """
        opener, wire = Opener(KEY.struct()), KEY.seal(b"data") + bytes(80_000_000)
        refused(lambda: opener.open_batch(wire), 30 * MIB)
        check_opener_is_new(opener)
    """,
    "records-to-scan": """
        none, types = np.zeros(4_000_000, np.int64), np.full(4_000_000, 22, np.uint8)
        refused(lambda: scan_key_updates(types, none, none, b""), 40 * MIB)
        assert scan_key_updates(types, none, none, b"") == []
    """,
    "key-updates-found": """
        places = np.arange(2_000_000, dtype=np.int64) % 2 * 0
        fives = places + 5
        types = np.full(len(places), 22, np.uint8)
        scan = lambda: scan_key_updates(types, places, fives, key_update_message(True))
        refused(scan, 80 * MIB)
    """,
    "key-updates-fed": """
        scanner, many = KeyUpdateScanner(), key_update_message(True) * 3_000_000
        scanner.feed(22, many[:2])
        refused(lambda: scanner.feed(22, many[2:]), 40 * MIB)
        assert not scanner.at_boundary
        assert scanner.feed(22, many[2:5]) == [(1, True, None)]
    """,
    "endless-buffers-to-send": """
        ours, theirs = socket.socketpair()
        sock = KtlsSocket(ours)
        refused(lambda: sock.sendmsg(itertools.repeat(b"data")), 50 * MIB)
        refused(lambda: sock.recvmsg_into(itertools.repeat(bytearray())), 50 * MIB)
        assert sock.sendmsg([b"da", b"ta"]) == 4
        assert theirs.recv(10) == b"data"
        sock.close(), theirs.close()
    """,
    "bytes-to-receive": """
        ours, theirs = socket.socketpair()
        sock = KtlsSocket(ours)
        refused(lambda: sock.recv(1 << 40), 50 * MIB)
        refused(lambda: sock.recvmsg(1 << 40, 100), 50 * MIB)
        theirs.send(b"data")
        assert sock.recv(10) == b"data"
        sock.close(), theirs.close()
    """,
    "certificates-of-a-configuration": """
        def pem(body, count=1):
            begin, end = (b"-----%b CERTIFICATE-----\\n" % word for word in (b"BEGIN", b"END"))
            return (begin + body + b"\\n" + end) * count
        cert, key = pki().server.cert, pki().server.key
        for large in (pem(b"A" * 60_000_000), pem(b"\\n" * 60_000_000), pem(b"AAAA", 1_000_000)):
            chain, keys = cert + large, large + key
            refused(lambda: ClientConfig(large), 30 * MIB)
            refused(lambda: ServerConfig(cert, key, client_roots=large), 30 * MIB)
            refused(lambda: ServerConfig(chain, key), 30 * MIB)
            refused(lambda: ServerConfig(cert, keys), 30 * MIB)
        ServerConfig(cert, key)
    """,
    "password": """
        cert, key, large = pki().server.cert, pki().server.key, "x" * 60_000_000
        for password in (large, large.encode(), bytearray(large.encode())):
            refused(lambda: ServerConfig(cert, key, password=password), 30 * MIB)
    """,
    "name-of-roots": """
        name = "x" * 60_000_000
        refused(lambda: ClientConfig(name), 30 * MIB)
    """,
    "bytes-received-before": """
        ours, theirs = socket.socketpair()
        secrets = [TrafficSecret(0x1301, bytes([n]) * 32) for n in (1, 2)]
        received = bytes(60_000_000)
        make = lambda received: Connection.from_secrets(
            ours, server_side=True, tx=secrets[0], rx=secrets[1], received=received
        )
        refused(lambda: make(received), 30 * MIB)
        assert ours.fileno() >= 0
        make(b"").close(), theirs.close()
    """,
    "bytes-to-read": """
        ours, theirs = socket.socketpair()
        secrets = [TrafficSecret(0x1301, bytes([n]) * 32) for n in (1, 2)]
        a = Connection.from_secrets(ours, server_side=True, tx=secrets[0], rx=secrets[1])
        b = Connection.from_secrets(theirs, server_side=False, tx=secrets[1], rx=secrets[0])
        b.sendall(b"data")
        refused(lambda: a.read(1 << 40), 50 * MIB)
        refused(lambda: a.recv(1 << 40), 50 * MIB)
        assert a.read(10) == b"data"
        a.close(), b.close()
    """,
}


TOO_MANY_NAMES = {
    "protocols": "ServerConfig(cert, key, alpn=itertools.repeat('x'))",
    "empty-protocols": "ClientConfig(roots, alpn=itertools.repeat(''))",
    "suites": "ServerConfig(cert, key, suites=itertools.repeat('TLS_AES_128_GCM_SHA256'))",
    "long-protocol": "ServerConfig(cert, key, alpn=['x' * 60_000_000])",
    "long-suite": "ClientConfig(roots, suites=['x' * 60_000_000])",
    "server-name": "Connection.client(socket.socket(), ClientConfig(roots), 'x' * 60_000_000)",
    "server-name-of-other-letters": (
        "Connection.client(socket.socket(), ClientConfig(roots), '\u00fc' * 6_000_000)"
    ),
}


@pytest.mark.parametrize("call", TOO_MANY_NAMES.values(), ids=TOO_MANY_NAMES.keys())
def test_names_too_long_for_a_handshake_are_refused_before_they_are_copied(
    call: str,
) -> None:
    run(f"""
        cert, key, roots = pki().server.cert, pki().server.key, pki().roots
        limit_memory(250 * MIB)
        try:
            {call}
        except ConfigError as error:
            assert len(str(error)) < 200, len(str(error))
        else:
            raise SystemExit("it was taken")
    """)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_allocation_that_fails_is_a_memory_error_and_changes_nothing(case: str) -> None:
    run(case)


def run(case: str) -> None:
    script = PRELUDE + textwrap.dedent(case)
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
