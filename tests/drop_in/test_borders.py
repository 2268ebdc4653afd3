"""Finding the borders of records in a stream that is cut anywhere."""

import random

import pytest

from ktls_fast._handover.observer import records_of
from ktls_fast._handover.wires import RecordBorder

SIZES = [1, 0, 5, 300, 0, 22, 16401]
STREAM = b"".join(b"\x17\x03\x03" + size.to_bytes(2) + bytes(size) for size in SIZES)


def held_after(position: int) -> int:
    """Return the bytes behind the last border in front of ``position``, by a plain search."""
    border = 0
    for record in records_of(STREAM):
        if border + len(record) > position:
            break
        border += len(record)
    return position - border


def test_the_border_is_known_after_every_byte() -> None:
    border = RecordBorder()
    for position in range(len(STREAM)):
        border.pass_over(STREAM[position : position + 1])
        assert border.held == held_after(position + 1), position


@pytest.mark.parametrize("seed", range(50))
def test_the_border_is_known_after_pieces_of_any_size(seed: int) -> None:
    generator, border, position = random.Random(seed), RecordBorder(), 0
    while position < len(STREAM):
        size = generator.choice([1, 2, 4, 5, 6, 100, 5000, 20_000])
        border.pass_over(STREAM[position : position + size])
        position = min(position + size, len(STREAM))
        assert border.held == held_after(position)


def test_nothing_changes_nothing() -> None:
    border = RecordBorder()
    border.pass_over(b"\x17\x03")
    border.pass_over(b"")
    assert border.held == 2
