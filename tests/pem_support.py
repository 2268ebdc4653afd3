"""Configurations from PEM files, and the reasons why they are refused."""

from collections.abc import Callable

import pytest

from ktls_fast import ConfigError, ServerConfig
from tests.peers.pki import pki

RunOpenssl = Callable[..., bytes]


def accepted(key: bytes, cert: bytes | None = None, **options: object) -> ServerConfig:
    """Return a configuration, which must be accepted."""
    return ServerConfig(cert or pki().server.cert, key, **options)  # type: ignore[arg-type]


def refusal(key: bytes, cert: bytes | None = None, **options: object) -> str:
    """Return the reason why a configuration is refused, which it must be."""
    with pytest.raises(ConfigError) as caught:
        accepted(key, cert, **options)
    assert caught.value.strerror is not None
    return caught.value.strerror
