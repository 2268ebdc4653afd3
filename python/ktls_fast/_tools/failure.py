"""The one way in which a command gives up."""

from typing import Final

from ktls_fast._messages import reason

__all__ = ["Failure", "missing", "reason"]

OPTIONAL: Final = ("cryptography", "matplotlib", "rich")
"""What the extras of the package bring."""


class Failure(Exception):  # noqa: N818 - it is shown to the user, who is not told of errors
    """A command cannot do what it was asked for; the text is the sentence that its user reads."""


def missing(error: ImportError, who: str, extra: str) -> Failure:
    """What to tell the user when ``who`` needs a package that ``extra`` brings.

    :raises ImportError: ``error`` itself, if it is about anything else.
    """
    package = (error.name or "").partition(".")[0]
    if package not in OPTIONAL:
        raise error
    return Failure(f"{who} needs {package}: pip install 'ktls_fast[{extra}]'")
