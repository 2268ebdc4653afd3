"""The exception that ends a command with a message for its user."""

from typing import Final

from ktls_fast._messages import reason

__all__ = ["CommandError", "missing_package", "reason"]

OPTIONAL: Final = ("cryptography", "matplotlib", "rich")
"""The packages that the extras of ``ktls_fast`` install."""


class CommandError(Exception):
    """A command cannot do what it was asked to do; the text is the message for its user."""


def missing_package(error: ImportError, who: str, extra: str) -> CommandError:
    """Return an error that tells the user which extra to install.

    :param error: the failed import.
    :param who: the command or option that needs the package.
    :param extra: the extra of ``ktls_fast`` that installs it.
    :raises ImportError: ``error`` itself, if the module belongs to no extra.
    """
    package = (error.name or "").partition(".")[0]
    if package not in OPTIONAL:
        raise error
    return CommandError(f"{who} needs {package}: pip install 'ktls_fast[{extra}]'")
