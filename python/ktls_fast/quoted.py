"""Values of a caller, as messages repeat them."""

__all__ = ["quoted"]

LONGEST = 100


def quoted(value: object) -> str:
    """``repr(value)``, cut where it is longer than anybody reads."""
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}...")
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
