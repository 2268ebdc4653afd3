"""The queue of a test, whose workers are not left waiting for a peer."""

from collections.abc import Iterator

import pytest

from ktls_fast import OffloadQueue
from tests.offload_queue.ends import close_wires


@pytest.fixture
def queue() -> Iterator[OffloadQueue]:
    with OffloadQueue() as made:
        yield made
        close_wires()


@pytest.fixture(autouse=True)
def close_wires_at_the_end() -> Iterator[None]:
    yield
    close_wires()
