"""A proxy with a low limit of open files."""

import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from ktls_fast._tools.failure import CommandError
from ktls_fast._tools.proxy.listener import converted_start_errors
from tests.proxy_support import HOST, TIMEOUT, ProxyIdentity, check_echo, connect_tls, echo_proxy
from tests.streams import read_exactly


@pytest.mark.parametrize("workers", [1, 2])
def test_a_low_limit_of_open_files_is_reported_at_start(
    identity: ProxyIdentity, workers: int
) -> None:
    with echo_proxy(identity, "--workers", str(workers), prepare=_limit_files(64)) as proxy:
        assert proxy.event("notice")["text"] == (
            "the limit of 64 open files allows --max-connections 10, not 1000: further"
            " connections wait; raise `ulimit -n` to 4024"
        )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", [6, 13, 27])
def test_a_limit_of_open_files_without_room_for_a_connection_is_refused_at_start(
    identity: ProxyIdentity, limit: int, workers: int
) -> None:
    status, said = _run_in_vain(identity, _limit_files(limit), workers)
    assert said == (
        f"ktls-fast: the limit of {limit} open files is too low for a connection;"
        " raise `ulimit -n` to 28 or more, 4024 for all of --max-connections\n"
    )
    assert status == 1


def test_inherited_descriptors_count_against_the_limit(identity: ProxyIdentity) -> None:
    with ExitStack() as stack:
        files = [stack.enter_context(Path(os.devnull).open()) for _ in range(30)]
        left_open = [file.fileno() for file in files]
        _, said = _run_in_vain(identity, _limit_files(57), 1, left_open)
    assert "the limit of 57 open files is too low" in said
    assert "to 58 or more, 4054 for all" in said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
            "too many open files; the limit is .*: raise `ulimit -n` to",
        ),
        (OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "resource temporarily unavailable$"),
        (RuntimeError("can't start new thread"), "can't start new thread$"),
    ],
)
def test_a_system_error_at_start_is_reported_in_a_sentence(error: Exception, text: str) -> None:
    with pytest.raises(CommandError, match=f"^cannot start: {text}"), converted_start_errors():
        raise error


def test_a_sufficient_limit_of_open_files_is_not_reported(identity: ProxyIdentity) -> None:
    with echo_proxy(
        identity, "--max-connections", "10", "--stats", prepare=_limit_files(64)
    ) as proxy:
        check_echo(proxy, identity)
        assert proxy.stop() == 0
        assert not [e for e in proxy.events_of("notice") if "open files" in e["text"]]


def test_few_descriptors_make_clients_wait_and_fail_none(identity: ProxyIdentity) -> None:
    with echo_proxy(identity, prepare=_limit_files(64)) as proxy, ExitStack() as stack:
        served = [stack.enter_context(connect_tls(proxy.port, identity)) for _ in range(10)]
        raw = socket.create_connection((HOST, proxy.port), TIMEOUT)
        raw.settimeout(0.3)
        context = identity.client_context()
        with raw, pytest.raises(TimeoutError):
            context.wrap_socket(raw, server_hostname="localhost")
        for client in served:
            client.sendall(b"one")
            assert read_exactly(client, 3) == b"one"
            client.unwrap().close()
            check_echo(proxy, identity)


def _run_in_vain(
    identity: ProxyIdentity,
    prepare: Callable[[], None],
    workers: int,
    leave_open: Sequence[int] = (),
) -> tuple[int, str]:
    """Run a proxy that cannot start; return its exit status and standard error."""
    command = (sys.executable, "-m", "ktls_fast", "proxy", "--workers", str(workers))
    done = subprocess.run(
        (*command, "--listen", f"{HOST}:0", "--connect", f"{HOST}:9", *identity.arguments),
        stderr=subprocess.PIPE,
        preexec_fn=prepare,
        pass_fds=leave_open,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode, done.stderr


def _limit_files(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
