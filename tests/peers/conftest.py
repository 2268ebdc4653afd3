"""Fixtures for the tests with other TLS implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.pki import pki

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the certificates and keys as files."""
    folder = tmp_path_factory.mktemp("pki")
    pki().write_to(folder)
    return folder
