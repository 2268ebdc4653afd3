"""Formatting of caller's values and system errors for messages."""

__all__ = ["quoted", "reason"]

MAX_LENGTH = 100


def quoted(value: object) -> str:
    """Return ``repr(value)``, shortened to about 100 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_LENGTH else f"{value[:MAX_LENGTH]}...")
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."


def reason(error: OSError) -> str:
    """Return the text of ``error`` without its errno, beginning in lower case."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
