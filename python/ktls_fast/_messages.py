"""Values of a caller and errors of the system, as messages repeat them."""

__all__ = ["quoted", "reason"]

LONGEST = 100


def quoted(value: object) -> str:
    """``repr(value)``, cut where it is longer than anybody reads."""
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}...")
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def reason(error: OSError) -> str:
    """What went wrong, without the errno in front."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
