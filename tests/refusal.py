"""Checks that a call is refused and changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ktls_fast import KtlsError, Opener, Sealer
from tests.reference import TrafficKey


@contextmanager
def seal_refused(
    sealer: Sealer, key: TrafficKey, number: int, *, nth: int = 0, out: bytearray | None = None
) -> Iterator[None]:
    """Check that the block raises the errno ``number``, and changes neither ``out`` nor ``sealer``.

    The next record of ``sealer`` must have the number ``nth``.
    """
    with _raises(number, out):
        yield
    assert sealer.rec_seq == key.rec_seq + nth
    assert sealer.seal(b"next") == key.seal(b"next", nth=nth)


@contextmanager
def open_refused(
    opener: Opener, key: TrafficKey, number: int, *, nth: int = 0, out: bytearray | None = None
) -> Iterator[None]:
    """Check that the block raises the errno ``number``, and changes neither ``out`` nor ``opener``.

    The next record of ``opener`` must have the number ``nth``.
    """
    with _raises(number, out):
        yield
    assert opener.rec_seq == key.rec_seq + nth
    assert opener.open(key.seal(b"next", nth=nth)) == (23, b"next")


@contextmanager
def _raises(number: int, out: bytearray | None) -> Iterator[None]:
    before = None if out is None else bytes(out)
    with pytest.raises(KtlsError) as caught:
        yield
    assert caught.value.errno == number, caught.value
    assert out == before
