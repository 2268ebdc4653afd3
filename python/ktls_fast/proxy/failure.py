"""The one way in which a command gives up."""

__all__ = ["Failure", "reason"]


class Failure(Exception):  # noqa: N818 - it is shown to the user, who is not told of errors
    """A command cannot do what it was asked for; the text is the sentence that its user reads."""


def reason(error: OSError) -> str:
    """What went wrong, without the errno in front."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
