"""Refusals of :func:`ktls_fast.from_ssl`."""

from typing import NoReturn

from ktls_fast.errors import KtlsError


def refuse(number: int, text: str) -> NoReturn:
    """Raise a KtlsError."""
    raise KtlsError(number, text)
