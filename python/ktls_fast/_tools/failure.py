"""The one way in which a command gives up."""

from ktls_fast._messages import reason

__all__ = ["Failure", "reason"]


class Failure(Exception):  # noqa: N818 - it is shown to the user, who is not told of errors
    """A command cannot do what it was asked for; the text is the sentence that its user reads."""
