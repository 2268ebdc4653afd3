"""Messages are our own: without types of Rust, and without texts of other libraries."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import ktls_fast
from ktls_fast import (
    ClientConfig,
    Connection,
    CryptoInfo,
    KtlsSocket,
    OffloadQueue,
    Opener,
    Relay,
    Sealer,
    ServerConfig,
    Suite,
    TrafficSecret,
    ktls_socket,
    scan_key_updates,
    tls_stat,
)
from tests.peers.pki import pki

LONG = "y" * 500
FOREIGN = re.compile(
    r"`|\bVec\b|\bPy[A-Z]|::|[{}]|os error|integral type"
    r"|\bu8\b|\busize\b|Some\(|Err\(|Dns[A-Z]|IpAddr"
)
SECRET = TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, bytes(32))
INFO = SECRET.crypto_info()

WRONG: list[object] = [
    *(None, -1, 256, 2**31, 2**70, 1.5, float("nan"), 1j, True),
    *("h2", "\u00fc", "x\0y", LONG, f"/nowhere/{LONG}", b"x", bytearray(70_000), object(), int),
    *([1], (1, 2, 3), [None], ["h2", 7], {"a": 1}, (1, "x"), (-1, 1.0), (1, -1.0)),
]


def server(**options: object) -> ServerConfig:
    return ServerConfig(pki().server.cert, pki().server.key, **options)  # type: ignore[arg-type]


def client(**options: object) -> ClientConfig:
    return ClientConfig(**options)  # type: ignore[arg-type]


def options_of(make: Callable[..., object], names: str) -> dict[str, Callable[[object], object]]:
    return {
        f"{make.__name__} {name}": lambda value, name=name: make(**{name: value})  # type: ignore[misc]
        for name in names.split()
    }


def with_socket(call: Callable[[socket.socket, object], object]) -> Callable[[object], object]:
    def run(value: object) -> object:
        with socket.socket() as sock:
            return call(sock, value)

    return run


def on_socket(call: Callable[[KtlsSocket, object], object]) -> Callable[[object], object]:
    def run(value: object) -> object:
        with KtlsSocket(socket.socket()) as sock:
            sock.settimeout(0)
            return call(sock, value)

    return run


CALLS: dict[str, Callable[..., object]] = {
    **options_of(
        server,
        "alpn suites tickets keylog rekey_bytes rekey_records rekey_peer key_update_limit"
        " client_roots min_version require_client_cert password",
    ),
    **options_of(client, "roots cert key resumption alpn suites"),
    "server cert": lambda value: ServerConfig(value, pki().server.key),
    "server key": lambda value: ServerConfig(pki().server.cert, value),
    "seal": lambda value: Sealer(INFO).seal(value),
    "seal type": lambda value: Sealer(INFO).seal(b"", record_type=value),
    "Sealer": lambda value: Sealer(value),
    "record_limit": lambda value: Sealer(INFO, record_limit=value),
    "seal_batch": lambda value: Sealer(INFO).seal_batch(value),
    "record_size": lambda value: Sealer(INFO).seal_batch(b"xx", record_size=value),
    "threads": lambda value: Sealer(INFO).seal_batch(b"xx", record_size=1, threads=value),
    "open": lambda value: Opener(INFO).open(value),
    "open_batch": lambda value: Opener(INFO).open_batch(value),
    "suite": lambda value: TrafficSecret(value, bytes(32)),
    "secret": lambda value: TrafficSecret(Suite.TLS_AES_128_GCM_SHA256, value),
    "CryptoInfo": lambda value: CryptoInfo.from_bytes(value),
    "scan": lambda value: scan_key_updates(value, value, value, value),
    "tls_stat": lambda value: tls_stat(format=value),
    "policy": lambda value: OffloadQueue(policy=value),
    "relay side": lambda value: Relay(1).add(value, value),
    "KtlsSocket": lambda value: KtlsSocket(value),
    "setsockopt": on_socket(lambda sock, value: sock.setsockopt(value, 1, 1)),  # type: ignore[arg-type]
    "getsockopt": on_socket(lambda sock, value: sock.getsockopt(282, 1, value)),  # type: ignore[arg-type]
    "setsockopt value": on_socket(lambda sock, value: sock.setsockopt(282, 1, value)),  # type: ignore[arg-type]
    "setsockopt optlen": on_socket(lambda sock, value: sock.setsockopt(1, 2, None, value)),  # type: ignore[arg-type]
    "listen": on_socket(lambda sock, value: sock.listen(value)),  # type: ignore[arg-type]
    "shutdown": on_socket(lambda sock, value: sock.shutdown(value)),  # type: ignore[arg-type]
    "backend": with_socket(lambda sock, value: ktls_socket(sock, value)),  # type: ignore[arg-type]
    "relay truncation": lambda value: Relay(1).add(None, None, truncation=value),  # type: ignore[arg-type]
    "relay idle_timeout": lambda value: Relay(1).add(None, None, idle_timeout=value),  # type: ignore[arg-type]
    "relay on_close": lambda value: Relay(1).add(None, None, on_close=value),  # type: ignore[arg-type]
    "settimeout": on_socket(lambda sock, value: sock.settimeout(value)),  # type: ignore[arg-type]
    "recv": on_socket(lambda sock, value: sock.recv(1, value)),  # type: ignore[arg-type]
    "sendmsg": on_socket(lambda sock, value: sock.sendmsg([b"x"], value)),  # type: ignore[arg-type]
    "sendfile": on_socket(lambda sock, value: sock.sendfile(value)),  # type: ignore[arg-type]
    "server socket": lambda value: Connection.server(value, server()),
    "server config": with_socket(lambda sock, value: Connection.server(sock, value)),  # type: ignore[arg-type]
    "server_name": with_socket(
        lambda sock, value: Connection.client(sock, ClientConfig(pki().roots), value)  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_errors_of_arguments_use_the_names_of_python(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some of the values are names of files
    refusals = [error for value in WRONG if (error := refusal(CALLS[call], value))]
    assert refusals
    for error in refusals:
        assert not FOREIGN.search(str(error)), repr(error)
        assert "y" * 101 not in str(error), repr(error)
        assert isinstance(error, TypeError | ValueError | OverflowError | OSError), repr(error)


def refusal(call: Callable[..., object], value: object) -> Exception | None:
    try:
        call(value)
    except Exception as error:
        return error
    return None


def test_a_path_with_a_null_byte_is_reported() -> None:
    with pytest.raises(ktls_fast.ConfigError, match=r"a name with a zero byte in it cannot be"):
        server(keylog="x\0y")


def test_an_unknown_suite_is_quoted_in_part() -> None:
    with pytest.raises(
        ktls_fast.ConfigError, match=r'^\[Errno 22\] suite "y{100}…" is not one of TLS_'
    ):
        server(suites=[LONG])


def test_a_single_string_is_not_a_list_of_protocols() -> None:
    for name in ("h2", b"h2"):
        with pytest.raises(TypeError, match=r"a sequence of str is needed, not (str|bytes)"):
            server(alpn=name)
    with pytest.raises(TypeError, match="not one with int"):
        server(suites=["TLS_AES_128_GCM_SHA256", 7])
    for names in (["h2"], ("h2",), iter(["h2"]), {"h2": 1}):
        server(alpn=names)


def test_a_number_out_of_range_is_reported_with_its_bounds() -> None:
    for value in (-1, 256, 2**40):
        with pytest.raises(OverflowError, match=rf"^{value} is not from 0 to 255"):
            Sealer(INFO).seal(b"", record_type=value)


def test_pem_text_in_place_of_a_file_name_is_recognised_and_not_repeated() -> None:
    with pytest.raises(TypeError, match=r"^roots is PEM as str: bytes are needed$"):
        client(roots=pki().roots.decode())


def test_a_huge_number_of_seconds_is_reported_in_few_digits() -> None:
    with pytest.raises(ValueError, match=r"^rekey_interval: 1e300 is not a number of seconds$"):
        server(rekey_interval=1e300)
    pattern = r"^1e300 is not a timeout in seconds$"
    with KtlsSocket(socket.socket()) as sock, pytest.raises(ValueError, match=pattern):
        sock.settimeout(1e300)


def test_unreadable_files_are_reported_with_the_message_of_the_system() -> None:
    with pytest.raises(ktls_fast.ConfigError) as caught:
        server(keylog="/nowhere/keys.log")
    assert caught.value.strerror == (
        "the key log /nowhere/keys.log cannot be opened: no such file or directory"
    )


@pytest.mark.parametrize(
    "name", ["b\u00fccher.example", "\u4f8b\u3048.test", "XN--BCHER-KVA.example"]
)
def test_a_host_name_in_any_script_is_sent_in_ascii(name: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.close()
        with pytest.raises(OSError) as caught:  # noqa: PT011 - whatever the closed peer makes of it
            Connection.client(ours, ClientConfig(pki().roots), name)
        assert "neither a DNS name" not in str(caught.value)


@pytest.mark.parametrize("name", ["a..b", "", "\u00fc" * 70, "two words", "\u00fc b"])
def test_an_invalid_host_name_is_refused(name: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="neither a DNS name nor an IP address"):
        Connection.client(ours, ClientConfig(pki().roots), name)
