"""The close of a client of ``ktls_fast.ssl`` that has read nothing, and what a repr shows."""

import os

import pytest

from ktls_fast._handover.take_over import Tls12Secrets
from tests.drop_in.contexts import Contexts, connected, is_ours
from tests.forked import ForkedCall


def test_a_close_in_the_parent_leaves_the_bytes_to_the_child(contexts: Contexts) -> None:
    with connected(contexts.client(), contexts.server()) as (ours, theirs):
        assert is_ours(ours)
        theirs.sendall(b"for the child")
        is_closed, close = os.pipe()

        def read_behind_the_close() -> str:
            os.read(is_closed, 1)
            return str(ours.recv(100).decode())

        child = ForkedCall(read_behind_the_close)
        ours.close()
        os.write(close, b".")
        assert child.answer() == repr("for the child")
        os.close(is_closed)
        os.close(close)


def test_close_after_detach_does_nothing(contexts: Contexts) -> None:
    with connected(contexts.client(), contexts.server()) as (ours, _):
        os.close(ours.detach())
        ours.close()


def test_a_repr_shows_no_master_secret() -> None:
    secrets = Tls12Secrets(0xC02F, b"master" * 8, bytes(32), bytes(32), 0)
    assert "master" not in repr(secrets)
    with pytest.raises(AttributeError):
        secrets.master = b""  # type: ignore[misc]
