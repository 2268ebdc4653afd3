"""Fixtures for the tests of the hand-over."""

import pytest

from tests.drop_in.contexts import Contexts
from tests.peers.pki import pki


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """Return a factory of contexts."""
    folder = tmp_path_factory.mktemp("pki")
    pki().write_to(folder)
    return Contexts(folder)
