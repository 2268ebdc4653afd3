"""The fixtures of the kernel's selftest."""

import pytest

from tests.ktls_ends import KtlsEnds, MakePair, attached
from tests.reference import TLS13
from tests.selftest.ends import VARIANTS, TlsEnds, Variant, tls_ends


@pytest.fixture
def tls_basic(tcp_pair: MakePair) -> KtlsEnds:
    """Return ends with the ULP and no keys."""
    return attached(tcp_pair)


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.name)
def tls(request: pytest.FixtureRequest, tcp_pair: MakePair) -> TlsEnds:
    """Return a sender and a receiver with their keys, in all variants."""
    variant: Variant = request.param
    return tls_ends(tcp_pair, variant)


@pytest.fixture(
    params=[variant for variant in VARIANTS if variant.version == TLS13],
    ids=lambda variant: variant.name,
)
def tls13(request: pytest.FixtureRequest, tcp_pair: MakePair) -> TlsEnds:
    """Return a sender and a receiver with their keys, in the variants of TLS 1.3."""
    variant: Variant = request.param
    return tls_ends(tcp_pair, variant)
