"""The groups of the key exchange, with real peers and in the bytes of our ClientHello."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ktls_fast import ConfigError, Connection
from tests.peers.ours import client_config, echo, server_config
from tests.peers.process import ProgramProcess
from tests.peers.pyopenssl import pyopenssl_client, pyopenssl_server
from tests.peers.stdlib import TLS12, client_context
from tests.peers.support import DEADLINE, answer, listener, port_of, socket_pair, start

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ktls_fast import ClientConfig, ServerConfig

X25519, HYBRID = 0x001D, 0x11EC
KEY_SHARE, SUPPORTED_GROUPS = 51, 10


def agreed(server: ServerConfig, client: ClientConfig) -> tuple[str | None, str | None]:
    """Return the groups that our server and our client have agreed on, as each of them sees it."""
    near, far = socket_pair()
    served = start(lambda: Connection.server(far, server))
    with Connection.client(near, client, "localhost") as conn, served.result(DEADLINE) as accepted:
        return accepted.group, conn.group


def client_hello(config: ClientConfig) -> bytes:
    """Return the ClientHello message that our client sends."""
    near, far = socket_pair()
    with far:
        start(lambda: Connection.client(near, config, "localhost"))
        header = far.recv(5)
        record = b""
        while len(record) < int.from_bytes(header[3:]):
            record += far.recv(65536)
        return record


def extensions(hello: bytes) -> dict[int, bytes]:
    """Return the extensions of a ClientHello by their numbers."""
    at = 4 + 2 + 32
    for size in (1, 2, 1):  # session id, suites, compression methods
        at += size + int.from_bytes(hello[at : at + size])
    at += 2
    found = {}
    while at < len(hello):
        number, length = (int.from_bytes(hello[at + skip :][:2]) for skip in (0, 2))
        found[number] = hello[at + 4 : at + 4 + length]
        at += 4 + length
    return found


def key_shares(shares: bytes) -> Iterator[int]:
    at = 2
    while at < len(shares):
        yield int.from_bytes(shares[at : at + 2])
        at += 4 + int.from_bytes(shares[at + 2 : at + 4])


def test_a_client_sends_a_key_share_of_the_group_that_it_prefers() -> None:
    for prefers, shares in ((False, [X25519]), (True, [HYBRID, X25519])):
        found = extensions(client_hello(client_config(prefer_post_quantum=prefers)))
        assert list(key_shares(found[KEY_SHARE])) == shares
        assert int.from_bytes(found[SUPPORTED_GROUPS][2:4]) == shares[0]
        assert HYBRID.to_bytes(2) in found[SUPPORTED_GROUPS]


@pytest.mark.parametrize(
    ("server", "client", "group"),
    [
        ((False, None), (False, None), "x25519"),
        ((False, None), (True, None), "X25519MLKEM768"),
        ((True, None), (False, None), "X25519MLKEM768"),
        ((True, None), (True, None), "X25519MLKEM768"),
        ((True, None), (False, ["secp256r1"]), "secp256r1"),
        ((True, None), (False, ["x25519", "X25519MLKEM768"]), "X25519MLKEM768"),
        ((False, ["secp384r1"]), (True, None), "secp384r1"),
        ((False, ["SECP256R1MLKEM768"]), (False, ["SecP256r1MLKEM768"]), "SecP256r1MLKEM768"),
        ((False, ["MLKEM1024"]), (False, ["x25519", "mlkem1024"]), "MLKEM1024"),
        ((False, ["x25519", "X25519MLKEM768"]), (True, ["X25519MLKEM768"]), "X25519MLKEM768"),
    ],
)
def test_both_sides_see_the_group_that_was_negotiated(
    server: tuple[bool, Sequence[str] | None], client: tuple[bool, Sequence[str] | None], group: str
) -> None:
    def options(choice: tuple[bool, Sequence[str] | None]) -> tuple[bool, list[str]]:
        prefers, names = choice
        return prefers, list(names or ["x25519", "secp256r1", "secp384r1", "X25519MLKEM768"])

    (server_prefers, server_groups), (client_prefers, client_groups) = map(
        options, (server, client)
    )
    ours = server_config(prefer_post_quantum=server_prefers, groups=server_groups)
    theirs = client_config(prefer_post_quantum=client_prefers, groups=client_groups)
    assert agreed(ours, theirs) == (group, group)


def test_without_options_the_group_is_that_of_before() -> None:
    assert agreed(server_config(), client_config()) == ("x25519", "x25519")
    prefers = server_config(prefer_post_quantum=True)
    assert agreed(prefers, client_config(min_version="TLSv1.3")) == ("X25519MLKEM768",) * 2


def test_tls12_has_a_group_unless_a_session_is_resumed(pems: Path) -> None:
    context = client_context(pems, TLS12)
    config = server_config(prefer_post_quantum=True)
    groups: list[tuple[str | None, bool]] = []
    session: ssl.SSLSession | None = None
    for _ in range(2):
        near, far = socket_pair()
        served = start(lambda far=far: Connection.server(far, config))  # type: ignore[misc]
        with context.wrap_socket(near, server_hostname="localhost", session=session) as sock:
            session = sock.session
            with served.result(DEADLINE) as conn:
                groups.append((conn.group, conn.resumed))
    assert groups == [("x25519", False), (None, True)]


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
@pytest.mark.parametrize("prefers", [False, True])
def test_s_client_decides_on_the_group(
    require_tool: Callable[[str], str], pems: Path, group: str, prefers: bool
) -> None:
    names = {"X25519": "x25519", "P-256": "secp256r1", "P-384": "secp384r1"}
    config = server_config(prefer_post_quantum=prefers)
    with listener() as listening:
        command = [
            require_tool("openssl"),
            "s_client",
            "-groups",
            group,
            "-servername",
            "localhost",
        ]
        command += ["-connect", f"127.0.0.1:{port_of(listening)}", "-brief"]
        command += ["-CAfile", str(pems / "roots.pem")]
        with (
            ProgramProcess(command) as client,
            Connection.server(answer(listening), config) as conn,
        ):
            assert conn.group == names[group]
            client.finish()
            echo(conn)


def test_openssl_and_our_server_agree_on_the_post_quantum_group(pems: Path) -> None:
    near, far = socket_pair()
    served = start(lambda: Connection.server(far, server_config(prefer_post_quantum=True)))
    with pyopenssl_client(near, pems) as client, served.result(DEADLINE) as conn:
        assert (conn.group, client.get_group_name()) == ("X25519MLKEM768", "X25519MLKEM768")
        conn.sendall(b"post-quantum")
        assert client.recv(64) == b"post-quantum"


def test_openssl_and_our_client_agree_on_the_post_quantum_group(pems: Path) -> None:
    near, far = socket_pair()
    config = client_config(prefer_post_quantum=True)
    dialled = start(lambda: Connection.client(near, config, "localhost"))
    with pyopenssl_server(far, pems) as server, dialled.result(DEADLINE) as conn:
        assert (conn.group, server.get_group_name()) == ("X25519MLKEM768", "X25519MLKEM768")
        server.sendall(b"post-quantum")
        assert conn.read(64) == b"post-quantum"


@pytest.mark.parametrize(
    ("names", "prefers", "text"),
    [
        ([], False, "no group is allowed"),
        (["x448"], False, "x448.*is not one of.*X25519MLKEM768"),
        (["x25519", ""], False, "is not one of"),
        (["x25519"], True, "needs X25519MLKEM768"),
    ],
)
def test_groups_that_cannot_be_used_are_refused(names: list[str], prefers: bool, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        server_config(groups=names, prefer_post_quantum=prefers)
    with pytest.raises(ConfigError, match=text):
        client_config(groups=names, prefer_post_quantum=prefers)


def test_without_a_group_in_common_the_error_names_ours() -> None:
    near, far = socket_pair()
    served = start(lambda: Connection.server(far, server_config(groups=["secp384r1"])))
    with pytest.raises(OSError, match="alert handshake_failure"):
        Connection.client(near, client_config(groups=["x25519"]), "localhost")
    with pytest.raises(OSError, match=r"no key exchange group in common.*secp384r1"):
        served.result(DEADLINE)
